"""Ground truth and predictions as people have them."""

import numpy as np
import pytest

from asl_fast.records import Matches
from asl_fast.reports import Truth, predictions_of, read_predictions, read_truth

JUDGED = "query_id,reference_id,score,query_norm,reference_norm,ratio,verdict"


def write(folder, text, encoding="utf-8"):
    path = folder / "file.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("header", ["", "query_id,reference_id\n", "Query_ID, Reference_ID\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_truth_reads_with_and_without_header_bom_and_crlf(tmp_path, header, mark, end):
    text = mark + (header + "Q1,R1\nQ1,R2\n\nQ2,\nQ3,R1").replace("\n", end)
    truth = read_truth(write(tmp_path, text))
    assert truth.pairs == (("Q1", "R1"), ("Q1", "R2"), ("Q3", "R1"))
    assert truth.distractors == {"Q2"}
    assert truth.matched_queries == {"Q1", "Q3"}


def test_truth_finds_its_columns_by_the_header(tmp_path):
    assert read_truth(write(tmp_path, "kind,reference_id,query_id\ncrop,R,Q\n")).pairs == (("Q", "R"),)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Q1,R1\nQ2\n", "file.csv line 2: has 1 columns, expected 2"),
        ("Q1,R1,x\n", "file.csv line 1: has 3 columns, expected 2"),
        ("Q1,R1\n,R1\n", "file.csv line 2: the query id is empty"),
        ("query_id,reference_id\nQ1,R1\nQ2,R2\nQ1,R1\n", "file.csv line 4: repeats line 2"),
        ("Q1,R1\nQ1,\n", "file.csv line 2: query 'Q1' stands both with and without"),
        ("Q1,\nQ1,R1\n", "file.csv line 2: query 'Q1' stands both with and without"),
        ("Q1,\nQ2,\n", "holds no match"),
        ("", "holds no match"),
    ],
)
def test_truth_that_can_not_be_right_is_named_with_its_line(tmp_path, text, complaint):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is checked below
        read_truth(write(tmp_path, text))
    assert complaint in str(caught.value)


@pytest.mark.parametrize("header", ["", "query_id,reference_id,score\n", "\n\nquery_id,reference_id,score\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_plain_predictions_read_with_and_without_header_bom_and_crlf(tmp_path, header, mark, end):
    text = mark + (header + 'Q1,"R,1",0.5\n\nQ2,R2,-1e-3\nQ1,"R\n2",1').replace("\n", end)
    got = read_predictions(write(tmp_path, text))
    assert [got.query_ids[place] for place in got.query_P] == ["Q1", "Q2", "Q1"]
    assert [got.reference_ids[place] for place in got.reference_P] == ["R,1", "R2", f"R{end}2"]
    assert list(got.score_P) == [0.5, -0.001, 1]
    assert got.ratio_P is None and got.is_copy_P is None


def test_our_matches_bring_ratio_and_verdict(tmp_path):
    got = read_predictions(write(tmp_path, f"{JUDGED}\nQ,R,.5,1,2,.5,copy\nQ,S,.4,2,1,2,original\n"))
    assert list(got.ratio_P) == [0.5, 2]
    assert list(got.is_copy_P) == [True, False]


def test_id_that_looks_like_a_missing_value_or_a_number_is_text(tmp_path):
    got = read_predictions(write(tmp_path, "NA,null,1\n007,7.0,0\n,nan,2\n"))
    assert got.query_ids == ["NA", "007", ""] and got.reference_ids == ["null", "7.0", "nan"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "file.csv: is empty"),
        ("query_id,score\n", "file.csv line 1: has no column reference_id"),
        ("a,b\n", "file.csv line 1: has 2 columns and no header"),
        ("a,b,1\nc,d\n", "file.csv line 2: has 2 columns, expected 3"),
        ("a,b,1\n\nc,d,high\n", "file.csv line 3: score must be a finite number, got 'high'"),
        ("a,b,1\nc,d,\n", "file.csv line 2: score must be a finite number, got ''"),
        ("a,b,1\nc,d,nan\n", "file.csv line 2: score must be a finite number, got 'nan'"),
        ("a,b,1\nc,d,inf\n", "file.csv line 2: score must be a finite number, got 'inf'"),
        ('a,b,1\n"c\nd",e,1\na,b,2\n', "line 4: predicts query 'a', reference 'b' again (first on line 1)"),
        (f"{JUDGED}\nQ,R,.5,1,2,x,copy\n", "file.csv line 2: ratio must be a finite number, got 'x'"),
        (f"{JUDGED}\nQ,R,.5,1,2,.5,maybe\n", "line 2: verdict must be copy or original, got 'maybe'"),
        ('a,b,1\n"c,d,1\n', "file.csv line 2: is not CSV"),
    ],
)  # fmt: skip
def test_predictions_that_can_not_be_right_are_named_with_their_line(tmp_path, text, complaint):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is checked below
        read_predictions(write(tmp_path, text))
    assert complaint in str(caught.value)


def test_file_that_is_not_utf8_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"file\.csv line 1 or later: is not UTF-8"):
        read_predictions(write(tmp_path, "é,b,1\n", "latin-1"))


def test_rows_beyond_the_first_block_keep_their_ids(tmp_path):
    # over 16 MiB of text: pyarrow reads it in several blocks, each with its own list of ids
    count = 400_000
    path = write(tmp_path, "".join(f"query{row % 977:030d},r{row},{row / count}\n" for row in range(count)))
    got = read_predictions(path)
    assert len(got) == count and len(got.query_ids) == 977
    for row in (0, 1, count // 2, count - 1):
        assert got.query_ids[got.query_P[row]] == f"query{row % 977:030d}"
        assert got.reference_ids[got.reference_P[row]] == f"r{row}"


def test_are_right_knows_exactly_the_pairs_of_the_truth(tmp_path):
    got = read_predictions(write(tmp_path, "Q1,R1,1\nQ1,R2,.9\nQ2,R1,.8\nQ3,R3,.7\n"))
    truth = Truth(pairs=(("Q1", "R2"), ("Q2", "R1"), ("Q9", "R1"), ("Q1", "R9")))
    assert list(got.are_right(truth)) == [False, True, True, False]


def matches(reference_ids):
    ones = np.ones(len(reference_ids))
    return Matches(
        query_id_M=["q"] * len(ones), reference_id_M=reference_ids, score_M=ones, query_norm_M=ones,
        reference_norm_M=ones, ratio_M=ones, verdict_M=["copy"] * len(ones),
    )  # fmt: skip


def test_predictions_of_matches_at_hand_refuse_a_pair_that_stands_twice():
    assert predictions_of(matches(["a", "b"])).reference_ids == ["a", "b"]
    with pytest.raises(ValueError, match=r"row 2 predicts \('q', 'a'\) again"):
        predictions_of(matches(["a", "b", "a"]))
