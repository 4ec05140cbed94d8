"""Verdicts of candidates. Two queries of norm 5 and 1 against references of norm 10, 5 and 1."""

import numpy as np
import pytest

from asl_fast.matching import judge
from asl_fast.records import Candidates, Embeddings


def embeddings(ids, norms, name="rows"):
    return Embeddings(ids=ids, row_ND=np.array([[norm, 0] for norm in norms], np.float32), name=name)


QUERIES = embeddings(["q2", "q1"], [5, 1])
REFS = embeddings(["r3", "r2", "r1"], [10, 5, 1])


def pairs(rows, scores):
    row_QK = np.array(rows, dtype=np.int64)
    ratio_QK = QUERIES.norm_N[:, None] / REFS.norm_N[row_QK]
    return Candidates(
        ref_row_QK=row_QK,
        score_QK=np.where(row_QK < 0, -np.inf, np.array(scores, dtype=np.float64)),
        ratio_QK=np.where(row_QK < 0, np.nan, ratio_QK),
    ).pairs()


def test_ratio_of_exactly_tau_is_a_copy_and_above_it_an_original():
    found = judge(pairs([[0, 1, 2], [-1, -1, -1]], [[0.9, 0.8, 0.7], [0, 0, 0]]), QUERIES, REFS, 1.0)
    # query q2 has norm 5: against r3 5/10, against r2 5/5, against r1 5/1
    assert list(found.ratio_M) == [0.5, 1.0, 5.0]
    assert list(found.verdict_M) == ["copy", "copy", "original"]
    assert list(found.query_norm_M) == [5, 5, 5]
    assert list(found.reference_norm_M) == [10, 5, 1]


def test_best_score_comes_first_and_ties_go_by_query_id_then_reference_id():
    found = judge(pairs([[0, 1, 2], [2, 0, -1]], [[0.9, 0.5, 0.5], [0.9, 0.9, 0]]), QUERIES, REFS)
    assert list(zip(found.query_id_M, found.reference_id_M, strict=True)) == [
        ("q1", "r1"), ("q1", "r3"), ("q2", "r3"), ("q2", "r1"), ("q2", "r2"),
    ]  # fmt: skip
    assert list(found.score_M) == [0.9, 0.9, 0.9, 0.5, 0.5]


def test_every_query_can_have_its_own_tau():
    found = judge(pairs([[0], [0]], [[0.9], [0.8]]), QUERIES, REFS, [0.4, 0.1])
    # the ratio of query q2 is 5/10, above its tau; that of q1 is 1/10, exactly its tau
    assert list(zip(found.query_id_M, found.verdict_M, strict=True)) == [("q2", "original"), ("q1", "copy")]


def test_no_candidate_gives_no_match():
    assert len(judge(pairs([[-1], [-1]], [[0], [0]]), QUERIES, REFS)) == 0
    assert len(judge(pairs(np.zeros((2, 0)), np.zeros((2, 0))), QUERIES, REFS)) == 0


@pytest.mark.parametrize("tau", [0, -1, np.nan, np.inf, [1.0, 0.0]])
def test_tau_that_is_no_finite_number_above_0_is_refused(tau):
    with pytest.raises(ValueError, match="tau must be finite and above 0"):
        judge(pairs([[0], [0]], [[0.9], [0.8]]), QUERIES, REFS, tau)


def test_tau_of_another_number_of_queries_is_refused():
    with pytest.raises(ValueError, match=r"each of the 2 queries, got shape \(3,\)"):
        judge(pairs([[0], [0]], [[0.9], [0.8]]), QUERIES, REFS, [1, 1, 1])


def test_records_of_different_searches_are_refused():
    found = pairs([[2], [0]], [[0.9], [0.8]])
    with pytest.raises(ValueError, match="query row 1 but one has 1 rows"):
        judge(found, embeddings(["q"], [1], "one"), REFS)
    with pytest.raises(ValueError, match="reference row 2 but two has 2 rows"):
        judge(found, QUERIES, embeddings(["a", "b"], [1, 2], "two"))


def test_order_and_verdicts_equal_those_of_a_plain_loop():
    random = np.random.default_rng(5)
    queries = embeddings([f"q{number}" for number in random.permutation(40)], random.uniform(1, 9, 40))
    refs = embeddings([f"r{number}" for number in random.permutation(60)], random.uniform(1, 9, 60))
    row_QK = np.stack([random.permutation(60)[:7] for _ in range(40)])
    row_QK[random.random(row_QK.shape) < 0.2] = -1
    score_QK = random.integers(0, 6, row_QK.shape) / 5  # many ties
    ratio_QK = queries.norm_N[:, None] / refs.norm_N[row_QK]
    candidates = Candidates(ref_row_QK=row_QK, score_QK=score_QK, ratio_QK=ratio_QK)
    found = judge(candidates.pairs(), queries, refs, 0.9)
    expected = sorted(
        (
            -score_QK[q, k],
            queries.ids[q],
            refs.ids[row_QK[q, k]],
            "copy" if ratio_QK[q, k] <= 0.9 else "original",
        )
        for q in range(40)
        for k in range(7)
        if row_QK[q, k] >= 0
    )
    assert (
        list(zip(-found.score_M, found.query_id_M, found.reference_id_M, found.verdict_M, strict=True))
        == expected
    )
