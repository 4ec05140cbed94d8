"""The int8 screen of ratio_search where its bound is nearly met: still the bits of the brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asl_fast import _C
from asl_fast.kernels.ratio_search import MAX_DIMS, PreparedRefs
from asl_fast.kernels.ratio_search import reference as plain

PATHS = _C.build_info()["cpu_paths"]
Rows = NDArray[np.float32]


def hard_rows(kind: str, num_rows: int, num_dims: int, rng: np.random.Generator) -> Rows:
    """Rows that int8 codes keep badly, or that codes can't tell apart."""
    row_ND = rng.standard_normal((num_rows, num_dims))
    if kind == "one huge":  # all other components are below half a code
        row_ND[np.arange(num_rows), rng.integers(0, num_dims, num_rows)] = 300.0
    elif kind == "one huge, the same":
        row_ND[:, 0] = 1000.0
    elif kind == "constant":
        row_ND = np.repeat(rng.integers(1, 4, (num_rows, 1)).astype(float), num_dims, axis=1)
    elif kind == "half codes":  # every component lies between two codes, always to the same side
        row_ND = rng.integers(-60, 60, (num_rows, num_dims)) + rng.choice([-0.499, 0.499], (num_rows, 1))
        row_ND[:, -1] = 127.0
    elif kind == "ties to 1e-9":  # one direction, and steps that float32 rows still resolve
        row_ND = np.broadcast_to(row_ND[:1], row_ND.shape).copy()
        row_ND[:, 0] *= 1 + 1e-7 * rng.integers(0, 40, num_rows)
    elif kind == "denormal":
        row_ND = rng.integers(-90, 90, (num_rows, num_dims)) * 2.0**-149
    row_ND = row_ND.astype(np.float32)
    row_ND[~row_ND.any(axis=1), 0] = 2.0**-149
    return row_ND


KINDS = ["one huge", "one huge, the same", "constant", "half codes", "ties to 1e-9", "denormal", "normal"]


def assert_bits(query_QD: Rows, ref_ND: Rows, k: int, min_score: float | None, tau: float = 1.0) -> None:
    want = plain.ratio_search(
        query_QD,
        ref_ND,
        query_norm_Q=plain.row_norms(query_QD),
        ref_norm_N=plain.row_norms(ref_ND),
        k=k,
        tau_Q=np.full(len(query_QD), tau),
        min_score=-np.inf if min_score is None else min_score,
    )
    for path in PATHS:
        for num_threads in (1, 2, 7):
            refs = PreparedRefs(ref_ND, num_threads=num_threads, _instructions=path)
            found = refs.search(query_QD, k=k, min_score=min_score, tau=tau)
            for expected, got in zip(want, (found.ref_row_QK, found.score_QK, found.ratio_QK), strict=True):
                np.testing.assert_array_equal(got.view(np.int64), expected.view(np.int64), err_msg=path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_dims", [1, 2, 3, 4, 5, 6, 7, 8, 67, 256, 517, 1030])
def test_rows_that_quantise_badly_give_the_bits_of_the_brute_force(kind: str, num_dims: int) -> None:
    rng = np.random.default_rng(num_dims)
    ref_ND, query_QD = hard_rows(kind, 900, num_dims, rng), hard_rows(kind, 37, num_dims, rng)
    query_QD[::3] = ref_ND[: len(query_QD[::3])]
    assert_bits(query_QD, ref_ND, k=5, min_score=None, tau=1.1)


@pytest.mark.parametrize("kind", KINDS)
def test_8192_dimensions_give_the_bits_of_the_brute_force(kind: str) -> None:
    rng = np.random.default_rng(1)
    ref_ND, query_QD = hard_rows(kind, 70, 8192, rng), hard_rows(kind, 3, 8192, rng)
    assert_bits(query_QD, ref_ND, k=3, min_score=None, tau=1.1)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    query_kind=st.sampled_from(KINDS),
    ref_kind=st.sampled_from(KINDS),
    num_dims=st.one_of(st.integers(1, 70), st.sampled_from([128, 255, 640])),
    k=st.sampled_from([1, 3, 40]),
    ranged=st.booleans(),
)
def test_queries_of_one_kind_against_references_of_another_lose_nothing(
    seed: int, query_kind: str, ref_kind: str, num_dims: int, k: int, ranged: bool
) -> None:
    rng = np.random.default_rng(seed)
    ref_ND, query_QD = hard_rows(ref_kind, 400, num_dims, rng), hard_rows(query_kind, 17, num_dims, rng)
    score_N = plain.dots(query_QD[:1], ref_ND)[0]
    score_N /= plain.row_norms(query_QD[:1])[0] * plain.row_norms(ref_ND)
    min_score = float(np.sort(score_N)[-k])  # one that a pair meets exactly
    assert_bits(query_QD, ref_ND, len(ref_ND) if ranged else k, min_score if ranged else None, tau=np.inf)


@pytest.mark.parametrize("path", PATHS)
def test_counts_tell_what_was_screened_passed_and_scored(path: str) -> None:
    rng = np.random.default_rng(2)
    row_ND = rng.standard_normal((5000, 64)).astype(np.float32)
    counts: dict[str, int] = {}
    refs = PreparedRefs(row_ND, num_threads=1, _instructions=path)
    refs.search(row_ND[:20], k=5, tau=np.inf, _counts=counts)
    assert 20 * 5000 <= counts["screened"] < 20 * 5100  # whole tiles
    assert 20 * 5 <= counts["scored"] <= counts["passed"] < counts["screened"] / 10


def test_more_dimensions_than_a_dot_of_codes_can_hold_are_refused_by_number() -> None:
    with pytest.raises(ValueError, match=f"references have {MAX_DIMS + 1} columns, more than {MAX_DIMS}"):
        PreparedRefs(np.ones((1, MAX_DIMS + 1), np.float32))


def test_the_most_dimensions_at_the_largest_codes_do_not_overflow() -> None:
    row_ND = np.ones((3, MAX_DIMS), np.float32)
    row_ND[1] = -1
    assert_bits(row_ND, row_ND, k=2, min_score=None)
