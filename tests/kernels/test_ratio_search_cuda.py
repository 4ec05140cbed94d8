"""The search on a GPU against the brute force, with nothing but NumPy and pytest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from asl_fast import _C
from asl_fast.indexes import FaissIndex, Index
from asl_fast.kernels.ratio_search import DIRECTIONS, PreparedRefs, RowsThere, ask
from asl_fast.kernels.ratio_search import reference as plain
from asl_fast.kernels.rescore import Rescorer

pytestmark = pytest.mark.skipif(not _C.build_info()["cuda_devices"], reason="needs a GPU and a CUDA build")


SMALL = [(1, 1, 1), (7, 33, 5), (60, 700, 129)]
LARGE = [(300, 5000, 256), (3, 20_000, 64), (130, 3000, 1000)]


def rows_of(kind: str, num_rows: int, num_dims: int, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    row_ND = rng.standard_normal((num_rows, num_dims))
    if kind == "many ties":
        row_ND = np.round(row_ND)
    elif kind == "near ties":  # closer together than the screen can tell apart
        row_ND = 1 + 1e-6 * row_ND
    elif kind == "any scale":
        row_ND *= 10.0 ** rng.uniform(-30, 30, (len(row_ND), 1))
    row_ND = row_ND.astype(np.float32)
    row_ND[~row_ND.any(axis=1), 0] = 1
    return row_ND


def assert_bits(shape: tuple[int, int, int], kind: str, direction: str, k: int = 10) -> None:
    num_queries, num_refs, num_dims = shape
    row_ND = rows_of(kind, num_queries + num_refs, num_dims, num_refs)
    query_QD, ref_ND = row_ND[:num_queries], row_ND[num_queries:]
    rng = np.random.default_rng(1)
    query_norm_Q, ref_norm_N = rng.integers(1, 6, num_queries) / 3.0, rng.integers(1, 6, num_refs) / 3.0
    tau_Q = rng.choice([0.5, 1.0, 2.0], num_queries)
    expected = plain.ratio_search(
        query_QD, ref_ND, query_norm_Q=query_norm_Q, ref_norm_N=ref_norm_N, k=k, tau_Q=tau_Q,
        direction=direction,
    )  # fmt: skip
    refs = PreparedRefs(ref_ND, norm_N=ref_norm_N, device="cuda")
    assert refs.path == "cuda"
    question = ask(query_QD, tau=tau_Q, direction=direction, norm_Q=query_norm_Q)
    found = refs.nearest(question, k)
    for want, got in zip(expected, vars(found).values(), strict=True):
        np.testing.assert_array_equal(got.view(np.int64), want.view(np.int64))
    every = plain.ratio_search(
        query_QD, ref_ND, query_norm_Q=query_norm_Q, ref_norm_N=ref_norm_N, k=num_refs, tau_Q=tau_Q,
        direction=direction,
    )  # fmt: skip
    for num_pairs in (1, 50, 5000):
        best = refs.best_pairs(question, num_pairs)
        for want, got in zip(plain.best_pairs(every, num_pairs), vars(best).values(), strict=True):
            np.testing.assert_array_equal(got.view(np.int64), want.view(np.int64))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", ["normal", "many ties"])
@pytest.mark.parametrize("shape", SMALL)
def test_small_searches_have_the_bits_of_the_brute_force(
    shape: tuple[int, int, int], kind: str, direction: str
) -> None:
    assert_bits(shape, kind, direction)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", ["normal", "many ties", "near ties", "any scale"])
@pytest.mark.parametrize("shape", LARGE)
def test_the_gpu_gives_the_bits_of_the_brute_force(
    shape: tuple[int, int, int], kind: str, direction: str
) -> None:
    assert_bits(shape, kind, direction)


def test_long_answers_are_sorted_as_short_ones_are() -> None:
    assert_bits((40, 9000, 64), "many ties", "both", k=2048)


@pytest.mark.parametrize("memory_budget", [None, 20 << 20])
def test_references_beyond_a_budget_pass_through_the_gpu(memory_budget: int | None) -> None:
    ref_ND, query_QD = rows_of("normal", 20_000, 64, 1), rows_of("normal", 300, 64, 2)
    found = Index(ref_ND, device="cuda", memory_budget=memory_budget).search(query_QD)
    want = Index(ref_ND, grouping="never").search(query_QD)
    for name, column in vars(want).items():
        np.testing.assert_array_equal(vars(found)[name], column)


def test_several_gpus_find_what_one_finds() -> None:
    num_gpus = len(_C.build_info()["cuda_devices"])
    if num_gpus < 2:
        pytest.skip("needs two GPUs")
    ref_ND, query_QD = rows_of("normal", 20_000, 64, 1), rows_of("normal", 300, 64, 2)
    found = PreparedRefs(ref_ND, device="cuda:" + ",".join(map(str, range(num_gpus)))).search(query_QD)
    want = PreparedRefs(ref_ND, device="cuda").search(query_QD)
    for name, column in vars(want).items():
        np.testing.assert_array_equal(vars(found)[name], column)


def assert_rescored(on_gpu: Callable[[NDArray[np.int64]], Any]) -> None:
    ref_ND, query_QD = rows_of("normal", 900, 70, 1), rows_of("normal", 50, 70, 2)
    candidate_QF = np.random.default_rng(3).integers(-1, 900, (50, 1500))
    want = Rescorer(ref_ND).best(candidate_QF, ask(query_QD), 20)
    found = Rescorer(ref_ND, device="cuda").best(on_gpu(candidate_QF), ask(query_QD), 20)
    for name, column in vars(want).items():
        np.testing.assert_array_equal(vars(found)[name], column)


def test_small_lists_of_candidates_are_scored_on_the_gpu() -> None:
    assert_rescored(lambda candidate_QF: candidate_QF)


def test_candidates_on_the_gpu_are_scored_where_they_lie() -> None:
    torch = pytest.importorskip("torch")

    def on_gpu(candidate_QF: NDArray[np.int64]) -> Any:
        there = torch.from_numpy(candidate_QF).cuda()
        torch.cuda.synchronize()
        return there

    assert_rescored(on_gpu)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_rows_of_torch_on_the_gpu_are_searched_where_they_lie(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    row_ND = torch.from_numpy(rows_of("normal", 3000, 70, 1)).to(getattr(torch, dtype))
    there = row_ND.cuda()
    assert isinstance(ask(there, device="cuda").query_QD, RowsThere)
    found = PreparedRefs(there, device="cuda").search(there[:500])
    want = PreparedRefs(row_ND).search(row_ND[:500])
    for name, column in vars(want).items():
        np.testing.assert_array_equal(vars(found)[name], column)


def test_rows_that_another_stream_still_makes_are_waited_for() -> None:
    torch = pytest.importorskip("torch")
    row_ND = torch.from_numpy(rows_of("normal", 2000, 64, 1))
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        work = torch.randn(8192, 8192, device="cuda")
        for _ in range(20):  # tens of milliseconds
            work = work @ work / 100
        there = row_ND.to("cuda", non_blocking=True) + 0 * work[0, 0].nan_to_num(0, 0, 0)
        found = PreparedRefs(there, device="cuda").search(there[:50])
    want = PreparedRefs(row_ND).search(row_ND[:50])
    np.testing.assert_array_equal(found.score_QK, want.score_QK)


def test_rows_of_cupy_on_the_gpu_are_searched_where_they_lie() -> None:
    cupy, _ = pytest.importorskip("cupy"), pytest.importorskip("torch")
    row_ND = rows_of("normal", 300, 40, 1)
    there = cupy.asarray(row_ND)
    assert isinstance(ask(there, device="cuda").query_QD, RowsThere)
    found, want = PreparedRefs(there, device="cuda").search(there), PreparedRefs(row_ND).search(row_ND)
    np.testing.assert_array_equal(found.ref_row_QK, want.ref_row_QK)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_small_references_are_read_from_this_machine_where_only_codes_go_to_the_gpu(dtype: Any) -> None:
    row_ND = rows_of("normal", 900, 70, 1).astype(dtype)
    found = PreparedRefs(row_ND, device="cuda", rows_on_host=True).search(row_ND[:60])
    want = PreparedRefs(row_ND).search(row_ND[:60])
    for name, column in vars(want).items():
        np.testing.assert_array_equal(vars(found)[name], column)


@pytest.mark.parametrize("factory", ["Flat", "IVF16,Flat"])
def test_faiss_on_the_gpu_finds_what_the_exact_search_finds(factory: str) -> None:
    faiss = pytest.importorskip("faiss")
    pytest.importorskip("torch")
    if not getattr(faiss, "get_num_gpus", lambda: 0)():
        pytest.skip("this FAISS sees no GPU")
    ref_ND, query_QD = rows_of("normal", 3000, 32, 1), rows_of("normal", 100, 32, 2)
    index = FaissIndex(ref_ND, factory, device="cuda", params={"nprobe": 16} if factory != "Flat" else {})
    found, want = index.search(query_QD, 5), Index(ref_ND, grouping="never").search(query_QD, 5)
    np.testing.assert_array_equal(found.ref_row_QK, want.ref_row_QK)
    np.testing.assert_array_equal(found.score_QK, want.score_QK)
