"""ratio_search. Bound: num_valid_pairs * D multiply-adds at the int8 peak of the threads in use.

Rows: blocks of matrix products with the predicate as a mask (PyTorch, the plain way), ours, and FAISS
IndexFlatIP with the predicate applied to what it finds; one run, same rows, same threads. Figures: pairs/s,
where every (query, reference) counts whether or not it passes, so that skipped work is speed; and the
multiply-adds really done as a share of the float32 peak (above 1 is what int8 codes bring). That peak is
measured beside each row: a 2048-cubed float32 matrix product of PyTorch's BLAS, same threads, best of six.
FAISS doesn't know the predicate: its answer is short of k where the share of valid pairs is below 1, which
flatters its time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from asl_fast import Index
from asl_fast.kernels.ratio_search import reference as plain

faiss = pytest.importorskip("faiss")

NUM_REFS, NUM_QUERIES, NUM_DIMS, K = 200_000, 1000, 256, 10
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Work:
    query_QD: NDArray[np.float32]
    ref_ND: NDArray[np.float32]
    query_norm_Q: NDArray[np.float64]
    ref_norm_N: NDArray[np.float64]


@pytest.fixture(scope="module")
def rows() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return (
        rng.standard_normal((NUM_QUERIES, NUM_DIMS), dtype=np.float32),
        rng.standard_normal((NUM_REFS, NUM_DIMS), dtype=np.float32),
    )


@pytest.fixture(params=[1.0, 0.5], ids=["share=1.0", "share=0.5"])
def work(request: pytest.FixtureRequest, rows: tuple[NDArray[np.float32], NDArray[np.float32]]) -> Work:
    """Norms such that the wanted share of all pairs passes |q| / |r| <= 1."""
    query_QD, ref_ND = rows
    rng = np.random.default_rng(1)
    least = 2.0 if request.param == 1.0 else 1.0
    return Work(
        query_QD, ref_ND, rng.uniform(1, 2, NUM_QUERIES), rng.uniform(least, least + 1 / least, NUM_REFS)
    )


@pytest.fixture(params=[1, 2], ids=["threads=1", "threads=2"])
def num_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Pin the process to as many cores as it has threads."""
    threads, cores = int(request.param), os.sched_getaffinity(0)
    if len(cores) < threads:
        pytest.skip(f"this machine lends {len(cores)} core")
    import torch

    before = torch.get_num_threads()
    os.sched_setaffinity(0, set(sorted(cores)[:threads]))
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    yield threads
    torch.set_num_threads(before)
    os.sched_setaffinity(0, cores)


def unit(row_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    unit_ND: NDArray[np.float32] = row_ND / np.linalg.norm(row_ND, axis=1, keepdims=True)
    return unit_ND


def ours(work: Work, num_threads: int) -> Callable[[], Rows]:
    index = Index(work.ref_ND, norms=work.ref_norm_N, num_threads=num_threads)
    return lambda: index.search(work.query_QD, k=K, query_norms=work.query_norm_Q).ref_row_QK


def torch_in_blocks(work: Work, num_threads: int) -> Callable[[], Rows]:  # noqa: ARG001 - torch's setting rules
    import torch

    ref_DN = torch.from_numpy(unit(work.ref_ND)).T
    query_QD = torch.from_numpy(unit(work.query_QD))
    ref_norm_N = torch.from_numpy(work.ref_norm_N)

    def search() -> Rows:
        found = []
        for start in range(0, NUM_QUERIES, 128):
            score_BN = query_QD[start : start + 128] @ ref_DN
            norm_B = torch.from_numpy(work.query_norm_Q[start : start + 128])
            score_BN[norm_B[:, None] / ref_norm_N[None, :] > 1] = -torch.inf
            found.append(torch.topk(score_BN, K).indices.numpy())
        return np.concatenate(found)

    return search


def faiss_then_filter(work: Work, num_threads: int) -> Callable[[], Rows]:  # noqa: ARG001 - set by the fixture
    index = faiss.IndexFlatIP(NUM_DIMS)
    index.add(unit(work.ref_ND))
    query_QD = unit(work.query_QD)

    def search() -> Rows:
        _, row_QK = index.search(query_QD, K)
        ratio_QK = work.query_norm_Q[:, None] / work.ref_norm_N[row_QK]
        return np.where(ratio_QK <= 1, row_QK, -1)

    return search


def assert_right(engine: str, work: Work, found_QK: Rows) -> None:
    """Against the float64 brute force, on a few queries; float32 engines may swap near-ties."""
    some = np.arange(0, NUM_QUERIES, NUM_QUERIES // 4)
    want_QK, score_QK, _ = plain.ratio_search(
        work.query_QD[some],
        work.ref_ND,
        query_norm_Q=work.query_norm_Q[some],
        ref_norm_N=work.ref_norm_N,
        k=K,
        tau_Q=np.ones(len(some)),
    )
    if engine == "ours":
        np.testing.assert_array_equal(found_QK[some], want_QK)
        return
    for found_K, want_K, score_K in zip(found_QK[some], want_QK, score_QK, strict=True):
        extra = set(found_K) - set(want_K) - {-1}
        assert not extra or np.diff(score_K).max() > -1e-6, f"{engine}: found {extra}"


def peak(num_threads: int) -> float:
    """Multiply-adds per second of the best large float32 matrix product seen."""
    import torch

    assert torch.get_num_threads() == num_threads
    side = 2048
    a, b, out = torch.ones(side, side), torch.ones(side, side), torch.empty(side, side)
    best = np.inf
    for _ in range(6):
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - start)
    return side**3 / best


@pytest.mark.parametrize(
    "engine", [torch_in_blocks, ours, faiss_then_filter], ids=lambda engine: engine.__name__
)
def bench_ratio_search(
    benchmark: Any, engine: Callable[..., Callable[[], Rows]], work: Work, num_threads: int
) -> None:
    search = engine(work, num_threads)
    assert_right(engine.__name__, work, search())
    benchmark.pedantic(search, rounds=5, warmup_rounds=0)
    num_valid = int((work.query_norm_Q[:, None] / work.ref_norm_N[None, :] <= 1).sum())
    seconds = benchmark.stats["median"]
    computed = num_valid if engine is ours else NUM_QUERIES * NUM_REFS
    top = peak(num_threads)
    benchmark.extra_info.update(
        share_valid=round(num_valid / (NUM_QUERIES * NUM_REFS), 3),
        pairs_per_s=round(NUM_QUERIES * NUM_REFS / seconds),
        peak_gflops=round(2 * top / 1e9, 1),
        share_of_float32_peak=round(computed * NUM_DIMS / seconds / top, 3),
    )
    print(f"\n{engine.__name__}: {benchmark.extra_info}")
