"""Rows of a case, on disk, where every engine's process finds the same; and the tau that gives its share."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asl_fast.files import replacing
from asl_fast.kernels.ratio_search import row_norms
from benchmarks.search.cases import Case

if TYPE_CHECKING:
    from benchmarks.search.descriptors import RealRows  # loads torch, which workers do without

Rows = NDArray[np.float32]
_CHUNK = 8192


@dataclass(frozen=True, kw_only=True)
class Work:
    """What every engine is given: raw rows (their lengths are the norms), tau, k, threads."""

    refs_path: Path
    queries_path: Path
    num_refs: int
    num_queries: int
    num_threads: int
    k: int
    tau: float

    def refs(self, *, mapped: bool = False) -> Rows:
        """(N, D), in memory or as they lie in the file."""
        row_ND: Rows = np.load(self.refs_path, mmap_mode="r")[: self.num_refs]
        return row_ND if mapped else np.array(row_ND)

    @cached_property
    def query_QD(self) -> Rows:
        row_QD: Rows = np.load(self.queries_path)[: self.num_queries]
        return row_QD


class Data:
    """Makes the rows of `cases` in `folder` where they are not there yet."""

    def __init__(self, folder: Path, cases: Iterable[Case], photos: RealRows | None) -> None:
        self._folder, self._photos = folder, photos
        self._numbers: dict[tuple[str, int, str], int] = {}  # rows of a file: what the largest case needs
        for case in cases:
            for side, number in (("refs", case.num_refs), ("queries", case.num_queries)):
                key = (case.data, case.num_dims, side)
                self._numbers[key] = max(number, self._numbers.get(key, 0))

    def work(self, case: Case) -> Work:
        refs, queries = self._path(case, "refs"), self._path(case, "queries")
        ref_ND = np.load(refs, mmap_mode="r")[: case.num_refs]
        query_QD = np.load(queries, mmap_mode="r")[: case.num_queries]
        return Work(
            refs_path=refs,
            queries_path=queries,
            num_refs=case.num_refs,
            num_queries=case.num_queries,
            num_threads=case.num_threads,
            k=case.k,
            tau=tau_of_share(row_norms(query_QD, "queries"), row_norms(ref_ND, "references"), case.share),
        )

    def _path(self, case: Case, side: str) -> Path:
        number = self._numbers[case.data, case.num_dims, side]
        name = case.data if self._photos is None or case.data == "isotropic" else f"photos-{self._photos.key}"
        path = self._folder / f"{name}-{side}-{number}x{case.num_dims}.npy"
        if not path.exists():
            if case.data == "isotropic":
                chunks: Iterable[Rows] = isotropic(number, case.num_dims, side)
            else:
                assert self._photos is not None
                chunks = self._photos.extended(side, number, case.num_dims)
            save(path, chunks, number, case.num_dims)
        return path


def save(path: Path, chunks: Iterable[Rows], number: int, num_dims: int) -> None:
    """Write chunks of rows as one .npy without holding them all."""
    with replacing(path) as temporary:
        row_ND = np.lib.format.open_memmap(temporary, "w+", np.float32, (number, num_dims))
        start = 0
        for chunk in chunks:
            row_ND[start : start + len(chunk)] = chunk
            start += len(chunk)
        row_ND.flush()


def isotropic(number: int, num_dims: int, side: str) -> Iterator[Rows]:
    """Rows of random direction, their lengths up to twice as long as one another."""
    rng = np.random.default_rng([num_dims, len(side)])
    for start in range(0, number, _CHUNK):
        size = min(_CHUNK, number - start)
        row_BD = rng.standard_normal((size, num_dims), dtype=np.float32)
        yield row_BD * rng.uniform(1, 2, (size, 1)).astype(np.float32)


def prefix_lengths(
    query_norm_Q: NDArray[np.float64], falling_norm_N: NDArray[np.float64], tau: float
) -> NDArray[np.int64]:
    """How many of the references, longest first, pass fl(|q| / |r|) <= tau."""
    lengths = [bisect_right(falling_norm_N, tau, key=lambda norm: query / norm) for query in query_norm_Q]
    return np.array(lengths, np.int64)


def tau_of_share(query_norm_Q: NDArray[np.float64], ref_norm_N: NDArray[np.float64], share: float) -> float:
    """The tau by which this share of all pairs passes; infinity for 1."""
    if share == 1:
        return float("inf")
    falling_N = np.sort(ref_norm_N)[::-1]
    low = query_norm_Q.min() / ref_norm_N.max()
    high = query_norm_Q.max() / ref_norm_N.min()
    for _ in range(40):
        tau = float((low + high) / 2)
        if prefix_lengths(query_norm_Q, falling_N, tau).mean() < share * len(ref_norm_N):
            low = tau
        else:
            high = tau
    return tau
