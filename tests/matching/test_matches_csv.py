"""matches.csv, there and back."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_fast.matching import read_matches, write_matches
from asl_fast.records import Matches

HEADER = "query_id,reference_id,score,query_norm,reference_norm,ratio,verdict"
ROW = "q,r,0.5,1.0,2.0,0.5,copy"


def matches(query_ids, scores=None):
    count = len(query_ids)
    score_M = np.linspace(0.9, 0.1, count) if scores is None else np.array(scores)
    return Matches(
        query_id_M=query_ids, reference_id_M=[f"r{row}" for row in range(count)], score_M=score_M,
        query_norm_M=score_M * 3 + 5, reference_norm_M=score_M * 7 + 5, 
        ratio_M=(score_M * 3 + 5) / (score_M * 7 + 5),
        verdict_M=["copy", "original"] * (count // 2) + ["copy"] * (count % 2),
    )  # fmt: skip


def write_text(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_file_has_exactly_the_promised_columns_and_one_row_a_pair(tmp_path):
    write_matches(tmp_path / "m.csv", matches(["a", "b"], [0.5, 0.25]))
    assert (tmp_path / "m.csv").read_text().splitlines() == [
        HEADER,
        "a,r0,0.5,6.5,8.5,0.7647058823529411,copy",
        "b,r1,0.25,5.75,6.75,0.8518518518518519,original",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "a,b",
        'say "hi"',
        "two\nlines",
        "cr\ronly",
        "=1+1",
        "-5",
        "@x",
        "  spaces ",
        "",
        "été",
        "\u202egpj.exe",
        "a\x00b",
    ],
)
def test_hostile_id_reads_back_as_it_was_and_adds_no_row_or_column(tmp_path, name):
    write_matches(tmp_path / "m.csv", matches([name, "plain"]))
    assert list(read_matches(tmp_path / "m.csv").query_id_M) == [name, "plain"]
    with open(tmp_path / "m.csv", encoding="utf-8", newline="") as file:
        assert [len(row) for row in csv.reader(file)] == [7, 7, 7]


def test_id_that_is_no_unicode_is_written_as_its_escape(tmp_path):
    write_matches(tmp_path / "m.csv", matches(["\udcff"]))
    assert list(read_matches(tmp_path / "m.csv").query_id_M) == ["\\udcff"]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_every_float64_reads_back_as_the_same_number(tmp_path_factory, scores):
    path = tmp_path_factory.mktemp("numbers") / "m.csv"
    score_M = np.array(scores)
    fields = {name: score_M for name in ("score_M", "query_norm_M", "reference_norm_M", "ratio_M")}
    ids = [str(row) for row in range(len(scores))]
    write_matches(path, Matches(query_id_M=ids, reference_id_M=ids, verdict_M=["copy"] * len(ids), **fields))
    back = read_matches(path)
    for name in fields:
        assert getattr(back, name).tobytes() == score_M.tobytes()


def test_empty_matches_are_a_header_alone_and_read_back(tmp_path):
    write_matches(tmp_path / "m.csv", matches([]))
    assert (tmp_path / "m.csv").read_text() == HEADER + "\n"
    assert len(read_matches(tmp_path / "m.csv")) == 0


def test_failed_write_leaves_the_old_file(tmp_path):
    write_matches(tmp_path / "m.csv", matches(["a"]))
    broken = matches(["a", "b"])
    object.__setattr__(broken, "verdict_M", ["copy"])  # one column too short, found only while writing
    with pytest.raises(ValueError, match="shorter"):
        write_matches(tmp_path / "m.csv", broken)
    assert list(read_matches(tmp_path / "m.csv").query_id_M) == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]


def test_bom_crlf_blank_lines_other_columns_and_another_order_are_tolerated(tmp_path):
    text = (
        "\ufeffnote,verdict,ratio,reference_norm,query_norm,score,reference_id,query_id\r\n\r\n"
        "hm,original,2.0,1.0,2.0,0.5,r,q\r\n"
    )
    back = read_matches(write_text(tmp_path / "m.csv", text))
    assert (back.query_id_M[0], back.reference_id_M[0], back.verdict_M[0]) == ("q", "r", "original")
    assert (back.score_M[0], back.query_norm_M[0], back.reference_norm_M[0], back.ratio_M[0]) == (
        0.5,
        2,
        1,
        2,
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "m.csv line 1: has no column query_id, reference_id, score"),
        ("query_id,reference_id,score\n", "line 1: has no column query_norm, reference_norm, ratio, verdict"),
        (f"{HEADER}\n{ROW}\nq,r2,high,1,2,.5,copy\n", "line 3: score must be a finite number, got 'high'"),
        (f"{HEADER}\n{ROW}\nq,r2,.5,1,2,nan,copy\n", "line 3: ratio must be a finite number, got 'nan'"),
        (f"{HEADER}\n{ROW}\nq,r2,.5,,2,.5,copy\n", "line 3: query_norm must be a finite number, got ''"),
        (f"{HEADER}\nq,r,.5,1,2,.5,Copy\n", "line 2: verdict must be copy or original, got 'Copy'"),
        (f"{HEADER}\n{ROW},more\n", "m.csv line 2: has 8 columns, the header has 7"),
        (f"{HEADER}\n\n\"two\nlines\",r,.5,1,2,.5,copy\nq,r\n", "m.csv line 5: has 2 columns"),
        (f'{HEADER}\n"q,r,.5,1,2,.5,copy\n', "m.csv line 2: is not CSV"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_and_line(tmp_path, text, complaint):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is checked below
        read_matches(write_text(tmp_path / "m.csv", text))
    assert complaint in str(caught.value)


def test_file_that_is_not_utf8_is_refused_by_name(tmp_path):
    path = write_text(tmp_path / "m.csv", f"{HEADER}\n{ROW}\n", "utf-16")
    with pytest.raises(ValueError, match=r"m\.csv line 1 or later: is not UTF-8"):
        read_matches(path)
