"""Ours and the peers. A family is one process with one copy of the references; its ways of
searching them are what is timed.

run(way) returns ref_row_QK, -1 where there is none. Preparing (sorting, normalising, packing)
and ready(way) are not timed; what depends on the queries is, but for the peers' unit queries and selectors.
Peers that don't know the predicate answer k unfiltered references, filtered afterwards: short of k at a
share below 1, which flatters their time.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast import _C
from asl_fast.kernels.ratio_search import PreparedRefs, row_norms
from benchmarks.search.data import Work, prefix_lengths

Rows = NDArray[np.int64]
SELECTORS = ("batch", "bitmap", "range")
MATRIX_QUERIES = 4  # from so many queries on, FAISS is faster by matrix products
USEARCH_PAIRS = 1 << 26
BLOCK = 8192  # references at once, for peers that hand out whole matrices of scores


class Ours:
    """PreparedRefs. `screen`: every pair screened, none let through but by the bound's width."""

    def __init__(self, work: Work, instructions: str = "", *, mapped: bool = False) -> None:
        self._work = work
        ref_ND = work.refs(mapped=mapped)
        started = time.perf_counter()
        self._refs = PreparedRefs(
            ref_ND, num_threads=work.num_threads, grouping="auto", _instructions=instructions
        )
        self.told: dict[str, Any] = {
            "instructions": self._refs.path,
            "prepare_s": time.perf_counter() - started,
        }
        self._best: float | None = None

    def ready(self, way: str) -> None:
        """`screen` needs the best score of all: search first."""
        if way == "screen" and self._best is None:
            self._search()

    def run(self, way: str) -> Rows:
        return self._search() if way == "search" else self._screen()

    def _search(self) -> Rows:
        counts: dict[str, int] = {}
        found = self._refs.search(self._work.query_QD, k=self._work.k, tau=self._work.tau, _counts=counts)
        self._best = float(found.score_QK.max())
        self.told.update(counts)
        return found.ref_row_QK

    def _screen(self) -> Rows:
        """Every pair that scores above the best of all: there is none."""
        assert self._best is not None
        counts: dict[str, int] = {}
        found = self._refs.search(
            self._work.query_QD,
            k=1,
            min_score=np.nextafter(self._best, np.inf),
            tau=self._work.tau,
            _counts=counts,
        )
        self.told.update({f"screen_{name}": count for name, count in counts.items()})
        return found.ref_row_QK


class Sorted:
    """What the peers share: unit rows, longest reference first, and how many of them each query may take."""

    def __init__(self, work: Work) -> None:
        self.work = work
        ref_ND = work.refs()
        norm_N = row_norms(ref_ND, "references", num_threads=work.num_threads)
        self.order_N = np.argsort(-norm_N, kind="stable")
        self.ref_ND = ref_ND[self.order_N]
        self.ref_ND /= norm_N[self.order_N, None].astype(np.float32)
        norm_Q = row_norms(work.query_QD, "queries")
        self.query_QD = work.query_QD / norm_Q[:, None].astype(np.float32)
        self.prefix_Q = prefix_lengths(norm_Q, norm_N[self.order_N], work.tau)

    def filtered(self, position_QK: Rows, query_M: NDArray[np.int64] | slice = slice(None)) -> Rows:
        """Positions in norm order -> reference rows; those beyond the query's prefix are dropped."""
        valid_QK = (position_QK >= 0) & (position_QK < self.prefix_Q[query_M, None])
        found_QK: Rows = np.where(valid_QK, self.order_N[position_QK], -1)
        return found_QK


class Faiss:
    """IndexFlatIP over norm-sorted rows: unfiltered; a range per bucket of queries; a selector per query.

    At its best: sorted rows are the kind case for selectors too (what they let through lies together), the
    number of buckets is tuned, and so is the size from which it multiplies matrices. Left to itself, version
    1.15 scans pair by pair below 500 queries of 256 dimensions, at a tenth of the speed.
    """

    def __init__(self, work: Work) -> None:
        import faiss

        self._faiss = faiss
        rows = Sorted(work)
        num_dims = rows.ref_ND.shape[1]
        faiss.omp_set_num_threads(work.num_threads)
        faiss.cvar.distance_compute_blas_threshold = MATRIX_QUERIES * num_dims
        self._k, self._threads = work.k, ThreadPoolExecutor(work.num_threads)
        self._index = faiss.IndexFlatIP(num_dims)
        self._index.add(rows.ref_ND)
        del rows.ref_ND
        self._rows = rows
        self.told: dict[str, Any] = {"simd": faiss.SIMDConfig.get_level_name()}
        self._parameters: dict[str, list[Any]] = {}

    def ready(self, way: str) -> None:
        """Tune the buckets, or make the selectors: not timed."""
        if way == "buckets" and "buckets" not in self.told:
            self._tune()
        elif way in SELECTORS and way not in self._parameters:
            self._parameters[way] = [self._selecting(way, int(length)) for length in self._rows.prefix_Q]

    def run(self, way: str) -> Rows:
        if way == "flat":
            return self._rows.filtered(self._index.search(self._rows.query_QD, self._k)[1])
        if way == "buckets":
            return self._in_buckets(self.told["buckets"])
        found = self._threads.map(self._one, self._rows.query_QD, self._parameters[way])
        return self._rows.filtered(np.concatenate(list(found)))

    def _in_buckets(self, num_buckets: int) -> Rows:
        """Queries of like prefix share one range, up to the longest of theirs."""
        rows = self._rows
        found_QK = np.empty((len(rows.query_QD), self._k), np.int64)
        for query_M in np.array_split(np.argsort(rows.prefix_Q, kind="stable"), num_buckets):
            chosen = self._selecting("range", int(rows.prefix_Q[query_M[-1]]))
            found_MK = self._index.search(rows.query_QD[query_M], self._k, params=chosen)[1]
            found_QK[query_M] = rows.filtered(found_MK, query_M)
        return found_QK

    def _tune(self) -> None:
        """The number of buckets that is fastest here, of a few."""
        seconds = {}
        for number in (1, 4, 8, 16, 32):
            if number <= len(self._rows.query_QD):
                start = time.perf_counter()
                self._in_buckets(number)
                seconds[number] = time.perf_counter() - start
        self.told["buckets"] = min(seconds, key=lambda number: seconds[number])

    def _one(self, query_D: NDArray[np.float32], parameters: Any) -> Rows:
        found_1K: Rows = self._index.search(query_D[None], self._k, params=parameters)[1]
        return found_1K

    def _selecting(self, kind: str, length: int) -> Any:
        """Search parameters that let the first `length` rows through."""
        if kind == "range":
            selector = self._faiss.IDSelectorRange(0, length)
        elif kind == "batch":
            selector = self._faiss.IDSelectorBatch(np.arange(length))
        else:
            bits = np.packbits(np.arange(self._index.ntotal) < length, bitorder="little")
            selector = self._faiss.IDSelectorBitmap(bits)
        return self._faiss.SearchParameters(sel=selector)


class Peer(ABC):
    """A peer with one way, "search", and nothing to make ready."""

    told: dict[str, Any]

    def ready(self, way: str) -> None:
        assert way == "search"

    def run(self, way: str) -> Rows:
        assert way == "search"
        return self.search()

    @abstractmethod
    def search(self) -> Rows: ...


class Blocks(Peer):
    """A peer that hands out matrices of scores, block by block of references; the best k by argpartition.

    Queries are sorted by prefix, and a block is scored for those only whose prefix reaches it.
    """

    def __init__(self, work: Work) -> None:
        rows = Sorted(work)
        self._rows, self._k = rows, work.k
        self._queries = np.argsort(-rows.prefix_Q, kind="stable")
        self.told: dict[str, Any] = {}

    def search(self) -> Rows:
        rows, num_refs = self._rows, len(self._rows.order_N)
        prefix_Q = rows.prefix_Q[self._queries]
        best_QK = np.full((len(prefix_Q), self._k), -np.inf)
        found_QK = np.full(best_QK.shape, -1)
        for number, start in enumerate(range(0, num_refs, BLOCK)):
            end = min(start + BLOCK, num_refs)
            reached = int(np.count_nonzero(prefix_Q > start))
            if reached == 0:
                break
            score_MB = self.scores(self._queries[:reached], number)
            score_MB[np.arange(start, end)[None] >= prefix_Q[:reached, None]] = -np.inf
            kept = min(self._k, end - start)
            at_MK = np.argpartition(score_MB, -kept, axis=1)[:, -kept:]
            both = np.concatenate([best_QK[:reached], np.take_along_axis(score_MB, at_MK, axis=1)], axis=1)
            rows_of = np.concatenate([found_QK[:reached], at_MK + start], axis=1)
            best_MK = np.argpartition(both, -self._k, axis=1)[:, -self._k :]
            best_QK[:reached] = np.take_along_axis(both, best_MK, axis=1)
            found_QK[:reached] = np.take_along_axis(rows_of, best_MK, axis=1)
        position_QK = np.empty_like(found_QK)
        position_QK[self._queries] = np.where(np.isfinite(best_QK), found_QK, -1)
        return rows.filtered(position_QK)

    @abstractmethod
    def scores(self, query_M: NDArray[np.int64], block: int) -> NDArray[Any]:
        """score_MB of these queries against a block of the sorted references, in fresh memory."""


class NumPy(Blocks):
    """Products by NumPy's BLAS, float32."""

    def scores(self, query_M: NDArray[np.int64], block: int) -> NDArray[Any]:
        score_MB: NDArray[Any] = (
            self._rows.query_QD[query_M] @ self._rows.ref_ND[block * BLOCK : (block + 1) * BLOCK].T
        )
        return score_MB


class NumKong(Blocks):
    """numkong.dots_packed of float32 rows (it adds in float64), queries shared out over threads."""

    def __init__(self, work: Work) -> None:
        import numkong

        super().__init__(work)
        self._numkong, self._threads = numkong, ThreadPoolExecutor(work.num_threads)
        self._num_threads = work.num_threads
        ref_ND = self._rows.ref_ND
        self._packed = [
            numkong.dots_pack(ref_ND[start : start + BLOCK]) for start in range(0, len(ref_ND), BLOCK)
        ]

    def scores(self, query_M: NDArray[np.int64], block: int) -> NDArray[Any]:
        parts = np.array_split(self._rows.query_QD[query_M], min(self._num_threads, len(query_M)))
        return np.concatenate(list(self._threads.map(lambda part: self._dots(part, block), parts)))

    def _dots(self, query_MD: NDArray[np.float32], block: int) -> NDArray[Any]:
        return np.asarray(self._numkong.dots_packed(query_MD, self._packed[block]))


class USearch(Peer):
    """usearch.index.search(exact=True), inner products of unit rows, unfiltered.

    It holds 16 bytes for every pair until it has sorted them, 16 GB at 1M x 1,000: it is given as many
    queries at once as take 1 GB.
    """

    def __init__(self, work: Work) -> None:
        from usearch.index import MetricKind, search

        self._search, self._metric = search, MetricKind.IP
        self._rows = Sorted(work)
        self.told: dict[str, Any] = {}

    def search(self) -> Rows:
        rows, work = self._rows, self._rows.work
        step = max(1, USEARCH_PAIRS // work.num_refs)
        found = [
            self._search(
                rows.ref_ND, rows.query_QD[start : start + step], work.k, self._metric,
                exact=True, threads=work.num_threads,
            ).keys
            for start in range(0, work.num_queries, step)
        ]  # fmt: skip
        key_QK = np.concatenate([key_BK.reshape(-1, work.k) for key_BK in found])
        return rows.filtered(key_QK.astype(np.int64))


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How one of Case.engines is run: a family of one process, and which of its ways."""

    family: str
    way: str = "search"
    exact: bool = False  # its ids must be those of the brute force


def engine_named(name: str) -> Engine:
    """FAISS's flat, buckets, batch, bitmap, range, flat:avx2; ours, ours:SET, mapped, screen; numpy, ..."""
    if name in ("flat", "buckets", *SELECTORS):
        return Engine(family="faiss", way=name)
    if name == "flat:avx2":
        return Engine(family="faiss:avx2", way="flat")
    if name == "screen":
        return Engine(family="ours", way="screen")
    return Engine(family=name, exact=name.startswith("ours") or name == "mapped")


def make(family: str, work: Work) -> Any:
    """The engine of a family, prepared."""
    kind, _, option = family.partition(":")
    if kind == "ours":
        return Ours(work, option)
    if kind == "mapped":
        return Ours(work, mapped=True)
    return {"faiss": Faiss, "numpy": NumPy, "numkong": NumKong, "usearch": USearch}[kind](work)


def environment(family: str, num_threads: int) -> dict[str, str]:
    """What libraries read when they are loaded. FAISS's BLAS may not know a newer CPU: it is told."""
    threads = {
        name: str(num_threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    }
    if family == "faiss:avx2":
        return {**threads, "OPENBLAS_CORETYPE": "Haswell", "FAISS_SIMD_LEVEL": "AVX2"}
    if family == "faiss" and {"avx512f", "avx512bw"} <= set(_C.build_info()["cpu_features"]):
        return {**threads, "OPENBLAS_CORETYPE": "SkylakeX"}
    return threads
