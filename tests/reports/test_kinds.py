"""Kinds of queries and edit families: what is found, and what is wrongly called a copy."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_fast.reports import (
    Predictions,
    QueryKinds,
    Truth,
    evaluate,
    groups_table,
    holds_kinds,
    read_kinds,
    write_json,
)

TRUTH = Truth(pairs=(("a", "A"), ("b", "B"), ("c", "C")), distractors=frozenset({"d", "e"}), name="truth.csv")
KINDS = QueryKinds(
    group_of={"a": ("copy", "crop"), "b": ("copy", "crop"), "c": ("copy", "blur"), "d": ("reversed", "crop"),
              "e": ("easy", "")}
)  # fmt: skip


def predictions(rows):
    """rows: (query, reference, score, ratio); verdicts at tau 1."""
    queries = list(dict.fromkeys(row[0] for row in rows))
    references = list(dict.fromkeys(row[1] for row in rows))
    ratio_P = np.array([row[3] for row in rows], dtype=np.float64)
    return Predictions(
        query_ids=queries,
        reference_ids=references,
        query_P=np.array([queries.index(row[0]) for row in rows], dtype=np.int64),
        reference_P=np.array([references.index(row[1]) for row in rows], dtype=np.int64),
        score_P=np.array([row[2] for row in rows], dtype=np.float64),
        ratio_P=ratio_P,
        is_copy_P=ratio_P <= 1,
    )


# c is never found; d, the whole picture of a crop, is found and filtered at rank 1; e only below .5
ROWS = [("d", "D", 0.95, 1.5), ("a", "A", 0.9, 0.5), ("b", "B", 0.8, 1.2), ("b", "X", 0.7, 0.5),
        ("d", "Y", 0.6, 0.5), ("e", "X", 0.4, 0.5)]  # fmt: skip


def test_shares_of_a_case_worked_by_hand():
    report = evaluate(predictions(ROWS), TRUTH, kinds=KINDS, threshold=0.65)
    by_name = {(group.kind, group.family): group for group in report.groups}
    # easy and reversed have one family each, so nothing to tell apart
    names = [("copy", None), ("copy", "blur"), ("copy", "crop"), ("easy", None), ("reversed", None)]
    assert list(by_name) == names
    crop = by_name["copy", "crop"]
    assert (crop.num_queries, crop.num_matches) == (2, 2)
    assert (crop.similarity.recall, crop.similarity.recall_at_1) == (1.0, 1.0)
    assert (crop.filtered.recall, crop.filtered.recall_at_1) == (0.5, 0.5)  # b's right pair is dropped
    assert (crop.filtered.called_copy, crop.filtered.called_copy_at_1) == (1.0, 0.5)
    assert by_name["copy", "blur"].similarity.recall == 0
    assert by_name["copy", None].similarity.recall == pytest.approx(2 / 3)
    reverse = by_name["reversed", None]
    assert reverse.similarity.recall is None and reverse.similarity.recall_at_1 is None
    assert (reverse.similarity.called_copy, reverse.similarity.called_copy_at_1) == (1, 1)
    # at .65 only the dropped pair of d is left; from .6 on a wrong one is called a copy
    assert (reverse.filtered.called_copy, reverse.filtered.called_copy_at_1) == (0, 0)
    easy = by_name["easy", None]
    assert (easy.similarity.called_copy, easy.similarity.called_copy_at_1) == (0, 1)
    lower = evaluate(predictions(ROWS), TRUTH, kinds=KINDS, threshold=0.6).groups
    assert next(group for group in lower if group.kind == "reversed").filtered.called_copy == 1


def test_counts_at_the_threshold_are_those_of_both_lists():
    report = evaluate(predictions(ROWS), TRUTH, threshold=0.8)
    alone, filtered = report.similarity.at_threshold, report.filtered.at_threshold
    assert (alone.true_positives, alone.false_positives, alone.recall) == (2, 1, 2 / 3)
    assert (filtered.true_positives, filtered.false_positives, filtered.precision) == (1, 0, 1.0)
    assert report.threshold_from == "given"
    assert evaluate(predictions(ROWS), TRUTH, threshold=2.0).similarity.at_threshold.precision is None


def test_threshold_is_that_of_p90_after_the_filter_or_the_last_of_the_top_n():
    report = evaluate(predictions(ROWS), TRUTH)
    assert (report.threshold, report.threshold_from) == (0.9, "P90")
    wrong_first = evaluate(predictions([("d", "Z", 0.99, 0.5), *ROWS]), TRUTH)
    assert (wrong_first.threshold, wrong_first.threshold_from) == (0.7, "top N")  # .99, .9, .7 are kept


def test_table_and_json_say_what_was_measured(tmp_path):
    report = evaluate(predictions(ROWS), TRUTH, kinds=KINDS, threshold=0.65)
    lines = [line.split() for line in groups_table(report).splitlines()]
    assert ["crop", "2", "found", "1.0000", "1.0000", "0.5000", "0.5000"] in lines
    assert ["reversed", "1", "called", "a", "copy", "1.0000", "1.0000", "0.0000", "0.0000"] in lines
    write_json(tmp_path / "r.json", report)
    first = json.loads((tmp_path / "r.json").read_text())["groups"][0]
    assert first["kind"] == "copy" and first["filtered"]["recall"] == pytest.approx(1 / 3)


row = st.tuples(
    st.sampled_from("abcde"), st.sampled_from("ABCX"), st.integers(0, 3), st.sampled_from([0.5, 2])
)
rows = st.lists(
    row, min_size=1, max_size=12, unique_by=lambda row: row[:2],
)  # fmt: skip


@given(rows, st.integers(0, 3))
def test_shares_equal_those_of_a_plain_loop_with_ties(drawn, threshold):
    report = evaluate(predictions(drawn), TRUTH, kinds=KINDS, threshold=threshold)
    for group in report.groups:
        members = {
            query for query, (kind, family) in KINDS.group_of.items()
            if kind == group.kind and group.family in (None, family)
        }  # fmt: skip
        for shares, kept in ((group.similarity, drawn), (group.filtered, [r for r in drawn if r[3] <= 1])):
            said = [row for row in kept if row[0] in members and row[2] >= threshold]
            assert shares.called_copy == len({row[0] for row in said}) / len(members)
            if group.kind == "copy":
                right = [row for row in said if row[:2] in TRUTH.pairs]
                assert shares.recall == len(right) / group.num_matches
                hits = [
                    query for query in members if best_are(kept, query, lambda r: r[:2] in TRUTH.pairs, all)
                ]
                assert shares.recall_at_1 == len(hits) / len(members)
        called = [query for query in members if best_are(drawn, query, lambda row: row[3] <= 1, any)]
        assert group.filtered.called_copy_at_1 == len(called) / len(members)


def best_are(rows, query, is_so, how):
    own = [row for row in rows if row[0] == query]
    best = max((row[2] for row in own), default=None)
    return bool(own) and how(is_so(row) for row in own if row[2] == best)


def write(folder, text):
    (folder / "queries.csv").write_text(text)
    return folder / "queries.csv"


def test_kinds_are_read_by_their_header_and_other_columns_ignored(tmp_path):
    text = "strength,Kind,query_id,family\r\n.5,copy,a,crop\r\n1,copy,b,\r\n,copy,c,blur\r\n,easy,d,\r\n"
    path = write(tmp_path, text)
    assert holds_kinds(path)
    assert read_kinds(path, TRUTH).group_of == {
        "a": ("copy", "crop"), "b": ("copy", ""), "c": ("copy", "blur"), "d": ("easy", "")
    }  # fmt: skip


def test_list_of_pictures_beside_the_truth_is_not_taken_for_kinds(tmp_path):
    assert not holds_kinds(write(tmp_path, "path\na.jpg\n"))
    assert not holds_kinds(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("a,copy,x\na,copy,x\n", "queries.csv line 3: query 'a' stands on line 2 already"),
        ("a,,x\n", "queries.csv line 2: query 'a' has no kind"),
        ("a,easy,x\n", "line 2: query 'a' is of kind 'easy' but has a match in truth.csv"),
        ("d,copy,x\n", "line 2: query 'd' is of kind 'copy' but has no match in truth.csv"),
        ("z,easy,x\n", "line 2: query 'z' is unknown to truth.csv"),
        ("a,copy\n", "line 2: has 2 columns, the header has 3"),
        ("a,copy,x\n", "says no kind of query 'b', which has a match in truth.csv (2 such)"),
    ],
)
def test_kinds_that_can_not_be_right_are_named_with_their_line(tmp_path, rows, complaint):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is checked below
        read_kinds(write(tmp_path, "query_id,kind,family\n" + rows), TRUTH)
    assert complaint in str(caught.value)


def test_kinds_without_their_columns_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"queries\.csv line 1: has no column kind"):
        read_kinds(write(tmp_path, "query_id,family\n"), TRUTH)
