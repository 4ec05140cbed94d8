"""Several methods' candidates in one list, and every tau at once: each against its plain definition."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_fast.reports import Predictions, Truth, evaluate, joined, tau_sweep, write_sweep


def predictions(rows, name="p", ratios=None):
    """rows: {(query, reference): score}"""
    query_ids = sorted({query for query, _ in rows}, reverse=True)
    reference_ids = sorted({reference for _, reference in rows})
    return Predictions(
        query_ids=query_ids,
        reference_ids=reference_ids,
        query_P=np.array([query_ids.index(query) for query, _ in rows], dtype=np.int64),
        reference_P=np.array([reference_ids.index(reference) for _, reference in rows], dtype=np.int64),
        score_P=np.array(list(rows.values()), dtype=float),
        ratio_P=None if ratios is None else np.array([ratios[pair] for pair in rows], dtype=float),
        name=name,
    )


def as_rows(made):
    return [
        (made.query_ids[query], made.reference_ids[reference], score)
        for query, reference, score in zip(made.query_P, made.reference_P, made.score_P, strict=True)
    ]


pairs = st.tuples(st.sampled_from("abc"), st.sampled_from("XYZ"))
tables = st.dictionaries(pairs, st.integers(0, 4), max_size=9)


@given(st.lists(tables, min_size=1, max_size=3), st.integers(1, 3), st.sampled_from(["mean", "max"]))
def test_a_join_is_that_of_dictionaries(lists, found_by, score):
    found_by = min(found_by, len(lists))
    made, found_by_P = joined([predictions(rows) for rows in lists], found_by=found_by, score=score)
    wanted = {}
    for pair in {pair for rows in lists for pair in rows}:
        scores = [rows[pair] for rows in lists if pair in rows]
        if len(scores) >= found_by:
            wanted[pair] = (max(scores) if score == "max" else sum(scores) / len(scores), len(scores))
    order = sorted(wanted, key=lambda pair: (-wanted[pair][0], pair))
    assert as_rows(made) == [(*pair, pytest.approx(wanted[pair][0])) for pair in order]
    assert found_by_P.tolist() == [wanted[pair][1] for pair in order]


def test_ratios_are_those_of_the_first_list_that_has_the_pair():
    one, two = {("a", "X"): 1.0}, {("b", "Y"): 3.0, ("a", "X"): 2.0}
    lists = [
        predictions(rows, ratios=dict.fromkeys(rows, place + 0.5)) for place, rows in enumerate((one, two))
    ]
    assert joined(lists).predictions.ratio_P.tolist() == [1.5, 0.5]
    assert joined([lists[0], predictions(two)]).predictions.ratio_P is None


def test_what_can_not_be_joined_is_told():
    with pytest.raises(ValueError, match="from 1 to 1, the number of lists, got 2"):
        joined([predictions({})], found_by=2)
    with pytest.raises(ValueError, match="score must be mean or max"):
        joined([predictions({})], score="median")


@given(
    st.dictionaries(pairs, st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=9), st.data()
)
def test_a_sweeps_points_are_those_of_evaluate(rows, data):
    ratios = {pair: 2.0 ** (place - 2) for pair, (_, place) in rows.items()}
    made = predictions({pair: score for pair, (score, _) in rows.items()}, ratios=ratios)
    right = data.draw(st.sets(pairs, min_size=1)) | {data.draw(st.sampled_from(sorted(rows)))}
    truth = Truth(pairs=tuple(sorted(right)))
    points = tau_sweep(made, truth)
    assert [point.tau for point in points] == sorted({*ratios.values(), 1.0})
    for point in points:
        wanted = evaluate(made, truth, tau=point.tau).filtered
        assert point.uap == pytest.approx(wanted.uap, abs=1e-12)
        assert point.precision_at_n_no_refill == pytest.approx(wanted.precision_at_n_no_refill)
        assert point.precision_at_n_refill == pytest.approx(wanted.precision_at_n_refill)
        assert (point.true_positives, point.false_positives) == (
            wanted.true_positives,
            wanted.false_positives,
        )


def test_a_sweep_is_written_as_a_picture_and_as_numbers(tmp_path):
    made = predictions({("a", "X"): 2, ("b", "Y"): 1}, ratios={("a", "X"): 0.5, ("b", "Y"): 2.0})
    points = tau_sweep(made, Truth(pairs=(("a", "X"),)))
    write_sweep(tmp_path / "s.png", points, tau=1.0, n=1)
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    with open(tmp_path / "s.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["tau"], row["uap"], row["false_positives"]) for row in rows] == [
        ("0.5", "1.0", "0"), ("1.0", "1.0", "0"), ("2.0", "1.0", "1"),
    ]  # fmt: skip
