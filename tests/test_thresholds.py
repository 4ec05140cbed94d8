"""thresholds.json: what is written is read, whatever else stands there is told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_fast.errors import InputError
from asl_fast.thresholds import (
    Measured,
    OperatingPoint,
    SoftRatio,
    Thresholds,
    folder_thresholds,
    read_thresholds,
    write_thresholds,
)

POINT = OperatingPoint(
    goal=0.95, min_score=Measured(0.6, 0.5, 0.7), tau=Measured(0.97, 0.9, 1.0),
    precision=Measured(0.96, 0.9, 1.0), recall=Measured(0.5, 0.4, 0.6),
    held_back_precision=None, held_back_recall=0.0,
)  # fmt: skip
GOOD = Thresholds(
    fingerprint="ab", scores="cosine", tau=Measured(1.01, 0.97, 1.1), soft=SoftRatio(weight=0.3, tau=0.9),
    points=(POINT,), num_queries=3, num_truth=2, num_pairs=30, made_from="matches.csv",
)  # fmt: skip


def test_thresholds_survive_their_file(tmp_path):
    write_thresholds(tmp_path / "thresholds.json", GOOD)
    assert folder_thresholds(tmp_path) == GOOD
    assert folder_thresholds(tmp_path / "none") is None


def test_a_point_that_is_not_there_says_which_are():
    assert GOOD.point(0.95) == POINT
    with pytest.raises(ValueError, match=r"no point of 99 % precision; there are: 95"):
        GOOD.point(0.99)


def paths(value, so_far=()):
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*so_far, key)
            yield from paths(value[key], (*so_far, key))


@given(st.data())
def test_a_value_of_another_kind_is_one_line_or_the_same_thresholds(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("thresholds") / "t.json"
    write_thresholds(path, GOOD)
    raw = json.loads(path.read_text())
    place = data.draw(st.sampled_from(list(paths(raw))))
    inside = raw
    for key in place[:-1]:
        inside = inside[key]
    if data.draw(st.booleans()) and isinstance(inside, dict):
        del inside[place[-1]]
    else:
        inside[place[-1]] = data.draw(st.sampled_from([None, "x", -1, True, [], {}, float("nan")]))
    path.write_text(json.dumps(raw))
    try:
        told = str(read_thresholds(path))
    except InputError as error:
        told = str(error)
        assert str(path) in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[]", 'has no "format"'),
        ('{"format": "asl_fast thresholds", "version": 2}', "is of version 2, this asl_fast reads 1"),
        ('{"format": "asl_fast thresholds", "version": 1}', "lacks 'soft'"),
    ],
)
def test_a_file_of_something_else_is_told(tmp_path, text, words):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(InputError, match=words):
        read_thresholds(tmp_path / "t.json")
