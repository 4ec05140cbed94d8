"""The records refuse what no stage could use, and say which row it is."""

from __future__ import annotations

import numpy as np
import pytest

from asl_fast.records import Candidates, Embeddings, Matches, norms


def rows(num_rows=3, num_dims=4):
    return np.random.default_rng(0).standard_normal((num_rows, num_dims)).astype(np.float32)


def test_norms_are_read_off_the_rows():
    row_ND = rows(5, 7)
    record = Embeddings(ids=list("abcde"), row_ND=row_ND)
    np.testing.assert_allclose(record.norm_N, np.linalg.norm(row_ND.astype(np.float64), axis=1), rtol=1e-15)


def test_norms_of_huge_and_tiny_rows_neither_overflow_nor_vanish():
    row_ND = np.array([[3e38, 3e38], [1e-45, 0]], dtype=np.float32)
    norm_N = norms(row_ND)
    assert norm_N[0] == pytest.approx(3e38 * 2**0.5, rel=1e-6)
    assert norm_N[1] > 0


def test_norms_of_another_network_are_kept():
    record = Embeddings(ids=["a", "b"], row_ND=rows(2), norm_N=np.array([2.0, 5.0]))
    assert record.norm_N.tolist() == [2.0, 5.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"row_ND": rows().astype(np.int32)}, "must be float32"),
        ({"row_ND": rows()[0]}, "must be float32"),
        ({"row_ND": rows(0), "ids": []}, "holds no rows"),
        ({"ids": ["a", "b"]}, "has 2 ids but 3 rows"),
        ({"ids": ["a", "b", "a"]}, r"id 'a' stands twice \(rows 0 and 2\)"),
        ({"path_N": ["x"]}, "has 1 paths but 3 rows"),
        ({"norm_N": np.array([1.0, 2.0])}, r"norms must have shape \(3,\)"),
        ({"norm_N": np.array([1.0, 0.0, 2.0])}, "above 0, got 0.0 in row 1"),
        ({"norm_N": np.array([1.0, 2.0, np.nan])}, "got nan in row 2"),
    ],
)
def test_embeddings_that_cannot_be_used_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Embeddings(**({"ids": ["a", "b", "c"], "row_ND": rows()} | change))


@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN or infinite"), (np.inf, "NaN or infinite")])
def test_the_first_row_that_is_not_finite_is_named(value, what):
    row_ND = rows()
    row_ND[1, 2] = value
    with pytest.raises(ValueError, match=rf"row 1 \(id 'b'\) holds {what}"):
        Embeddings(ids=list("abc"), row_ND=row_ND)


def test_an_all_zero_row_is_named():
    row_ND = rows()
    row_ND[2] = 0
    with pytest.raises(ValueError, match=r"row 2 \(id 'c'\) is all zeros"):
        Embeddings(ids=list("abc"), row_ND=row_ND)


def test_candidates_and_matches_need_one_length():
    with pytest.raises(ValueError, match="one shape"):
        Candidates(
            ref_row_QK=np.zeros((1, 2), np.int64), score_QK=np.zeros((1, 2)), ratio_QK=np.zeros((1, 1))
        )
    with pytest.raises(ValueError, match="one length"):
        Matches(
            query_id_M=["q"], reference_id_M=[], score_M=np.zeros(0), query_norm_M=np.zeros(0),
            reference_norm_M=np.zeros(0), ratio_M=np.zeros(0), verdict_M=[],
        )  # fmt: skip
