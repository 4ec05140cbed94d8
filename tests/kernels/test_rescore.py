"""rescore against the float64 formula, and against the exact search that it must agree with bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_fast import _C
from asl_fast.kernels.ratio_search import DIRECTIONS, PreparedRefs, ask
from asl_fast.kernels.rescore import Rescorer
from asl_fast.kernels.rescore import reference as plain
from asl_fast.thresholds import SoftRatio


def assert_same(found, expected):
    for name, want in zip(("ref_row_QK", "score_QK", "ratio_QK"), expected, strict=True):
        np.testing.assert_array_equal(getattr(found, name), want, err_msg=name)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_answer_is_the_formula_bit_for_bit(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    num_refs, num_queries = data.draw(st.integers(1, 60)), data.draw(st.integers(0, 20))
    num_dims = data.draw(st.sampled_from([1, 2, 7, 8, 9, 31, 64, 100]))
    num_candidates = data.draw(st.integers(0, 90))
    whole = data.draw(st.booleans())  # small integers: ties and duplicates

    def rows(number):
        row = rng.integers(-2, 3, (number, num_dims)) if whole else rng.standard_normal((number, num_dims))
        row = row.astype(np.float32)
        row[~row.any(axis=1), 0] = 1
        return row

    query_QD, ref_ND = rows(num_queries), rows(num_refs)
    norms = np.array([1 / 3, 2 / 3, 1.0, 4 / 3])  # few of them: ratios that meet tau exactly
    query_norm_Q, ref_norm_N = rng.choice(norms, num_queries), rng.choice(norms, num_refs)
    k = data.draw(st.one_of(st.none(), st.integers(1, 100)))
    asked = {
        "min_score": rng.choice([-np.inf, 0.0, 0.5], num_queries),
        "bias": rng.choice([0.0, 0.3, -1.0], num_queries),
        "scale": rng.choice([1.0, 0.3, 7.0], num_queries),
        "direction": data.draw(st.sampled_from(DIRECTIONS)),
    }
    soft = data.draw(st.sampled_from([None, SoftRatio(weight=0.7, tau=0.6)]))
    tau_Q = rng.choice([0.5, 1.0, 2.0, 1e-9], num_queries)
    candidate_QF = rng.integers(-1, num_refs, (num_queries, num_candidates))
    expected = plain.rescore(
        candidate_QF, query_QD, ref_ND,
        query_norm_Q=query_norm_Q, ref_norm_N=ref_norm_N, tau_Q=tau_Q, k=k, soft=soft, **asked,
    )  # fmt: skip
    for num_threads in (1, 2, 7):
        rescorer = Rescorer(ref_ND, norm_N=ref_norm_N, num_threads=num_threads)
        question = ask(query_QD, tau=tau_Q, norm_Q=query_norm_Q, soft=soft, **asked)
        assert_same(rescorer.best(candidate_QF, question, k), expected)
    if soft is None and data.draw(st.integers(0, 9)) == 0:  # the GPU path's kernels, emulated: slow
        capacity, buffer_bytes = data.draw(st.sampled_from([(1, 1), (16, 1 << 15), (1024, 1 << 30)]))
        gpu = on_emulated_gpu(ref_ND, ref_norm_N, capacity=capacity, buffer_bytes=buffer_bytes)
        assert_same(
            gpu.best(candidate_QF, ask(query_QD, tau=tau_Q, norm_Q=query_norm_Q, **asked), k), expected
        )


def on_emulated_gpu(ref_ND, norm_N, *, capacity=1024, buffer_bytes=1 << 30):
    own_norm_N = _C.row_norms(ref_ND, 1)
    gpu = _C.emulated_rescorer(ref_ND, own_norm_N, norm_N, capacity, buffer_bytes, seed=1)
    return Rescorer(ref_ND, norm_N=norm_N, _gpu=gpu)


class OnGpu:
    """Candidates as an array on a GPU shows them; the emulated one's memory is this machine's."""

    def __init__(self, array, **changes):
        self.array = array
        self.__cuda_array_interface__ = {**array.__array_interface__, **changes}


def test_candidates_on_the_gpu_are_scored_where_they_are():
    rng = np.random.default_rng(5)
    ref_ND, query_QD = (rng.standard_normal((n, 70)).astype(np.float32) for n in (200, 12))
    candidate_QF = rng.integers(-1, 200, (12, 90))
    norm_N = rng.uniform(1, 2, 200)
    want = Rescorer(ref_ND, norm_N=norm_N).best(candidate_QF, ask(query_QD, norm_Q=np.full(12, 1.5)), 7)
    rescorer, question = on_emulated_gpu(ref_ND, norm_N), ask(query_QD, norm_Q=np.full(12, 1.5))
    assert_same(rescorer.best(OnGpu(candidate_QF), question, 7), vars(want).values())
    for wrong in (-2, 200):
        candidate_QF[3, 4] = wrong
        with pytest.raises(ValueError, match="must be rows of the 200 references, or -1 for none; 1 are not"):
            rescorer.best(OnGpu(candidate_QF), question, 7)


@pytest.mark.parametrize(
    "candidates",
    [
        OnGpu(np.zeros((3, 4), np.int32)),
        OnGpu(np.zeros((2, 4), np.int64)),
        OnGpu(np.zeros(3, np.int64)),
        OnGpu(np.zeros((3, 4), np.int64), strides=(8, 24)),
    ],
)
def test_candidates_on_the_gpu_of_another_shape_are_refused(candidates):
    rescorer = on_emulated_gpu(np.eye(3, dtype=np.float32), np.ones(3))
    with pytest.raises(ValueError, match=r"candidates on a GPU must be int64 of shape \(3, F\)"):
        rescorer.best(candidates, ask(np.eye(3, dtype=np.float32)), 1)


def test_one_gpu_at_most_scores_candidates():
    with pytest.raises(ValueError, match=r"device 'cuda' was asked|the CPU or one GPU|names GPU 1"):
        Rescorer(np.eye(3, dtype=np.float32), device="cuda:0,1")


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_with_every_row_a_candidate_it_is_the_exact_search(direction: str) -> None:
    rng = np.random.default_rng(1)
    ref_ND, query_QD = (rng.standard_normal((n, 100)).astype(np.float32) for n in (500, 40))
    candidate_QF = rng.permuted(np.tile(np.arange(500), (40, 2)), axis=1)  # each twice, in any order
    found = Rescorer(ref_ND).best(candidate_QF, ask(query_QD, direction=direction), 12)
    want = PreparedRefs(ref_ND).search(query_QD, k=12, direction=direction)
    assert_same(found, (want.ref_row_QK, want.score_QK, want.ratio_QK))


@pytest.mark.parametrize("number", [np.float16, np.float64, "bfloat16"])
def test_rows_of_other_types_are_scored_as_their_float32(number: str | type) -> None:
    import torch

    rng = np.random.default_rng(2)
    ref_ND, query_QD = rng.standard_normal((50, 33)), rng.standard_normal((7, 33)).astype(np.float32)
    rows = torch.from_numpy(ref_ND).bfloat16() if number == "bfloat16" else ref_ND.astype(number)
    floats_ND = rows.float().numpy() if number == "bfloat16" else rows.astype(np.float32)
    candidate_QF = rng.integers(-1, 50, (7, 40))
    want = Rescorer(floats_ND).best(candidate_QF, ask(query_QD), 10)
    assert_same(Rescorer(rows).best(candidate_QF, ask(query_QD), 10), vars(want).values())


def test_a_query_without_a_valid_candidate_gets_an_empty_row() -> None:
    rescorer = Rescorer(np.eye(3, dtype=np.float32))
    found = rescorer.best([[-1, -1], [0, 1]], ask(np.array([[1, 0, 0], [0, 9, 0]], np.float32)), 2)
    assert_same(found, ([[-1, -1]] * 2, [[-np.inf] * 2] * 2, [[np.nan] * 2] * 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidate_QF": [[0, 3]]}, "rows of the 3 references, or -1 for none, got 3"),
        ({"candidate_QF": [[-2]]}, "or -1 for none, got -2"),
        ({"candidate_QF": [[0], [1]]}, r"int64 of shape \(1, F\)"),
        ({"candidate_QF": np.zeros((1, 2), np.int32)}, "must be int64"),
        ({"query_QD": np.ones((1, 4), np.float32)}, "4 columns but the references have 3"),
        ({"k": 0}, "k must be a whole number from 1"),
    ],
)
def test_an_argument_that_breaks_a_rule_is_named(change: dict, message: str) -> None:
    asked = {"candidate_QF": [[0, 1]], "query_QD": np.ones((1, 3), np.float32), "k": 1, **change}
    with pytest.raises(ValueError, match=message):
        Rescorer(np.eye(3, dtype=np.float32)).best(asked["candidate_QF"], ask(asked["query_QD"]), asked["k"])
