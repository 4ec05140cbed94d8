"""Exact nearest neighbours by cosine among the references whose norm ratio passes the test.

    score(q, r) = (dot(q, r) / (|q| |r|) - bias(q)) * scale(q) - loss(norm(q) / norm(r))
    loss(ratio) = weight * max(0, log(ratio / soft tau)), or 0
    "copy":  fl(norm(q) / norm(r)) <= tau      "original": not so      "both": every pair

Why it exists: the predicate is exact and free here. With references sorted by norm, largest first, the
ones that pass it are a prefix (a suffix for "original"), so tiles outside it are never computed; other
libraries score every pair and filter afterwards, or leave their fast path.

Exact means: the answer of the float64 brute force in reference.py, bit for bit, for any number of threads
and any instruction set. A screen on int8 codes with a proven error bound (csrc/ratio_search/codes.h) drops
what can't be in the answer; what is left is scored again in float64, in one fixed summation order. Ties:
score descending, then reference row ascending.

What bounds its speed: num_valid_pairs * D multiply-adds at the machine's int8 peak; for a few queries, the
N * D bytes of codes at the speed of memory.

A query's bias and scale (0 and 1 unless given) are part of its scores: the ranking of all queries together,
lowest scores and ties are those of the formula as rounded to float64. They move what the screen asks for, and
cost no more. So does the soft ratio, on CPUs: it only takes away, so what a stretch of references in norm
order loses at least is added to what the screen asks for there.

Shapes: queries (Q, D), references (N, D) -> ref_row_QK int64 (-1 where there is none), score_QK float64
(-inf), ratio_QK float64 (nan); or, for the best pairs of all queries together, query_row_M, ref_row_M,
score_M and ratio_M. Every pair above a score is the best pairs above it, asked of as many queries at a time
as memory allows (asl_fast/indexes/stream.py).

Rows may be float16, bfloat16 (a torch.Tensor, an ml_dtypes array), float32 or float64, and are used where
they lie, in memory or in a map of a file: they are read from front to back once for the norms and once for
the codes, then only where survivors are scored, and pages of a read-only map are handed back. Rows on the one
GPU that searches are used there (rows_there.py). "Exact" speaks
of the rows as float32, which holds all but float64 as they are. Any finite row with a non-zero component is
fine, denormals and norms near 1e38 included. `num_threads=None` takes every core this process may run on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast import _C
from asl_fast.kernels.ratio_search.codes import Codes, encode
from asl_fast.kernels.ratio_search.devices import gpus_of, usable_gpus
from asl_fast.kernels.ratio_search.memory import GPU_HIT_BYTES, HIT_BYTES, GpuShare, Share, gpu_share, share
from asl_fast.kernels.ratio_search.rows import (
    WHO,
    StoredRows,
    as_float32,
    checked_norms,
    row_norms,
    stored_rows,
)
from asl_fast.kernels.ratio_search.rows_there import RowsThere, rows_for
from asl_fast.kernels.ratio_search.sampled_bar import likely_bar
from asl_fast.kernels.ratio_search.threads import checked_threads
from asl_fast.records import Candidates, Pairs
from asl_fast.thresholds import SoftRatio

__all__ = [
    "DIRECTIONS", "HIT_BYTES", "MAX_BIAS", "MAX_DIMS", "MAX_REFS", "MAX_SCALE", "Codes", "GpuShare",
    "PreparedRefs", "Progress", "Question", "RowsThere", "Share", "StoredRows", "ask", "check_count",
    "checked_norms", "encode", "gpu_share", "gpus_of", "path_of", "plain_soft", "rows_for", "share",
    "stored_rows", "usable_gpus",
]  # fmt: skip

DIRECTIONS = ("copy", "original", "both")
GROUPINGS = ("auto", "always", "never")
MAX_REFS = 2**32 - 1  # a position is 32 bits wide in the screen's buffers
MAX_PAIRS = 2**40
MAX_DIMS = 2**17  # a dot of int8 codes is 32 bits wide
MAX_BIAS = 1e6  # the screen's bounds are float32 numbers
MAX_SCALE = 1e6  # and the least is its inverse

Progress = Callable[[int, int], object]


class PreparedRefs:
    """References sorted and packed for one device: prepare once, search many times.

    row_ND is borrowed when it is C-contiguous: don't write to it afterwards. norm_N replaces the rows' own
    norms in the predicate and the ratio, never in the score.
    codes: of all of row_ND, as `encode` makes them; then the rows are only read where survivors are scored.
    They are trusted: codes of other rows would hide pairs.
    hit_bytes: for hits that wait to be scored, in each thread of a search, or of a batch of queries on a GPU;
    fewer cost time.
    device: "cpu", "cuda", or GPUs by number, "cuda:0,1": each then holds an even share of the references.
    rows_on_host: on GPUs, only codes go there, a quarter of float32 rows or less; the rows are copied to
    page-locked memory of this machine, where the GPU reads those of survivors.
    grouping: "always" orders the rows by likeness, so that a search skips most of what is far from a query;
    "auto" does where a sample has many near rows. On a CPU; preparing then takes several times as long.
    """

    def __init__(
        self,
        row_ND: ArrayLike | StoredRows | RowsThere,
        *,
        norm_N: ArrayLike | None = None,
        device: str = "cpu",
        num_threads: int | None = None,
        name: str = "references",
        ids: Sequence[str] | None = None,
        codes: Codes | None = None,
        hit_bytes: int | None = None,
        grouping: str = "never",
        rows_on_host: bool = False,
        _instructions: str = "",
    ) -> None:
        gpus = usable_gpus(device)
        if grouping not in GROUPINGS:
            raise ValueError(f"{WHO}: grouping must be one of {', '.join(GROUPINGS)}, got {grouping!r}")
        self.device = device
        self.num_threads = checked_threads(num_threads)
        rows = rows_for(row_ND, name, gpus)
        self.num_rows, self.num_dims = len(rows), rows.num_dims
        if not 1 <= self.num_rows <= MAX_REFS:
            raise ValueError(f"{WHO}: {name} must have from 1 to {MAX_REFS} rows, got {self.num_rows}")
        if self.num_dims > MAX_DIMS:
            raise ValueError(
                f"{WHO}: {name} have {self.num_dims} columns, more than {MAX_DIMS}; "
                "reduce their dimensions first"
            )
        if isinstance(rows, RowsThere):
            own_norm_N = rows.row_norms(name, ids)
        elif codes is None:
            own_norm_N = row_norms(rows.array_ND, name, num_threads=self.num_threads, ids=ids)
        else:
            own_norm_N = codes.row_norm_N
        norm_N = own_norm_N if norm_N is None else checked_norms(norm_N, self.num_rows, f"norms of {name}")
        if gpus:
            self._rows = rows  # the native side has only the address of what lies on a GPU
            self._native = _C.prepare_cuda(
                rows.native if isinstance(rows, RowsThere) else rows.array_ND, own_norm_N, norm_N, gpus,
                hit_bytes or GPU_HIT_BYTES, rows_on_host, self.num_threads,
            )  # fmt: skip
        else:
            assert isinstance(rows, StoredRows)
            given = None if codes is None else (codes.code_ND, codes.scale_N, codes.residual_N)
            self._native = _C.prepare_cpu(
                rows.array_ND, own_norm_N, norm_N, given, hit_bytes or HIT_BYTES, self.num_threads,
                _instructions, grouping,
            )  # fmt: skip

    def __len__(self) -> int:
        return int(self.num_rows)

    @property
    def path(self) -> str:
        """What runs: an instruction set, or "cuda"."""
        return self._native.path

    def search(
        self,
        query_QD: ArrayLike,
        *,
        k: int = 10,
        tau: ArrayLike = 1.0,
        min_score: ArrayLike | None = None,
        bias: ArrayLike = 0.0,
        scale: ArrayLike = 1.0,
        soft: SoftRatio | None = None,
        direction: str = "copy",
        norm_Q: ArrayLike | None = None,
        progress: Progress | None = None,
        name: str = "queries",
        ids: Sequence[str] | None = None,
        _counts: dict[str, int] | None = None,
    ) -> Candidates:
        """`ask` and `nearest` in one."""
        question = ask(
            query_QD, tau=tau, min_score=min_score, bias=bias, scale=scale, soft=soft, direction=direction,
            norm_Q=norm_Q, num_threads=self.num_threads, name=name, ids=ids, device=self.device,
        )  # fmt: skip
        return self.nearest(question, k, progress=progress, _counts=_counts)

    def nearest(
        self,
        question: Question,
        k: int,
        *,
        rank_N: NDArray[np.int64] | None = None,
        progress: Progress | None = None,
        _counts: dict[str, int] | None = None,
    ) -> Candidates:
        """The best k of each query; where there are fewer, -1, -inf and nan.

        rank_N: distinct numbers that break ties in place of the rows; a row with one below 0 is left out.
        progress(pairs_done, pairs_in_all) is called about ten times a second; an exception in it, or
        Ctrl-C, ends the search.
        """
        check_count(k, "k", MAX_REFS)
        ref_row_QK, score_QK, ratio_QK = self._native.search(
            self._asked(question, rank_N), int(k), self.num_threads, progress, _counts
        )
        return Candidates(ref_row_QK=ref_row_QK, score_QK=score_QK, ratio_QK=ratio_QK)

    def best_pairs(
        self,
        question: Question,
        num_pairs: int,
        *,
        k: int | None = None,
        rank_N: NDArray[np.int64] | None = None,
        progress: Progress | None = None,
    ) -> Pairs:
        """The best num_pairs of all queries together, best first; ties by query row, then reference row.

        k: of each query only the best k compete.  rank_N, progress: as for `nearest`.
        One threshold, which all threads share, rises to the worst pair that is still among them; of many
        queries a sample tells where it may start (sampled_bar.py). Takes
        memory for num_pairs, whatever Q and N.
        """
        check_count(num_pairs, "num_pairs", MAX_PAIRS)
        if k is not None:
            check_count(k, "k", MAX_REFS)
        if not np.isfinite(question.min_score_Q).any():
            bar = likely_bar(
                num_pairs, len(question), len(self),
                lambda row_S, number: self._best_pairs(question.part(row_S), number, k, rank_N, None),
            )  # fmt: skip
            if bar is not None:
                found = self._best_pairs(question.above(bar), num_pairs, k, rank_N, progress)
                if len(found) == num_pairs:
                    return found
                progress = _at_the_end(progress)
        return self._best_pairs(question, num_pairs, k, rank_N, progress)

    def _best_pairs(
        self,
        question: Question,
        num_pairs: int,
        k: int | None,
        rank_N: NDArray[np.int64] | None,
        progress: Progress | None,
    ) -> Pairs:
        query_row_M, ref_row_M, score_M, ratio_M = self._native.best_pairs(
            self._asked(question, rank_N),
            0 if k is None else int(k),
            int(num_pairs),
            self.num_threads,
            progress,
        )
        return Pairs(query_row_M=query_row_M, ref_row_M=ref_row_M, score_M=score_M, ratio_M=ratio_M)

    def _asked(self, question: Question, rank_N: NDArray[np.int64] | None) -> _C.Asked:
        if question.num_dims != self.num_dims:
            raise ValueError(
                f"{WHO}: {question.name} have {question.num_dims} columns but the references have "
                f"{self.num_dims}; embed both with the same model"
            )
        if rank_N is not None and (rank_N.shape != (len(self),) or rank_N.dtype != np.int64):
            raise ValueError(
                f"{WHO}: rank_N must be int64 of shape ({len(self)},), one for each reference, "
                f"got {rank_N.dtype} {rank_N.shape}"
            )
        query_QD: Any = question.query_QD
        if isinstance(query_QD, RowsThere):
            if gpus_of(self.device) != [query_QD.gpu]:
                raise ValueError(
                    f"{WHO}: {question.name} lie on GPU {query_QD.gpu} but the references are on "
                    f"{self.device}; ask with the same device"
                )
            query_QD = query_QD.native
        return question.asked(query_QD, rank_N)


def _at_the_end(progress: Progress | None) -> Progress | None:
    """Progress of work that is done once more: it can still be stopped."""
    return None if progress is None else lambda _, in_all: progress(in_all, in_all)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of any references: queries, each with tau, lowest score, bias and scale. Made by `ask`.

    query_QD: float32, or rows on the GPU that is asked.  own_norm_Q: of the rows, for the score.
    norm_Q: for the predicate and the ratio.  soft: one for all; None where nothing is lost by the ratio.
    """

    query_QD: NDArray[np.float32] | RowsThere
    own_norm_Q: NDArray[np.float64]
    norm_Q: NDArray[np.float64]
    tau_Q: NDArray[np.float64]
    min_score_Q: NDArray[np.float64]
    bias_Q: NDArray[np.float64]
    scale_Q: NDArray[np.float64]
    soft: SoftRatio | None
    direction: str
    name: str

    def __len__(self) -> int:
        return len(self.query_QD)

    @property
    def num_dims(self) -> int:
        rows = self.query_QD
        return rows.num_dims if isinstance(rows, RowsThere) else int(rows.shape[1])

    @property
    def host_QD(self) -> NDArray[np.float32]:
        """The queries in this machine's memory; ValueError if they were left on a GPU (`ask`, device)."""
        if isinstance(self.query_QD, RowsThere):
            raise ValueError(f"{WHO}: {self.name} lie on GPU {self.query_QD.gpu}; ask with device='cpu'")
        return self.query_QD

    def part(self, rows: slice | NDArray[np.int64]) -> Question:
        """Some of the queries."""
        some = self.query_QD.part(rows) if isinstance(self.query_QD, RowsThere) else self.query_QD[rows]
        columns = ("own_norm_Q", "norm_Q", "tau_Q", "min_score_Q", "bias_Q", "scale_Q")
        return replace(self, query_QD=some, **{column: getattr(self, column)[rows] for column in columns})

    def above(self, score: ArrayLike) -> Question:
        """The same, with no lower score than this: one number or one per query."""
        return replace(self, min_score_Q=np.maximum(self.min_score_Q, score))

    def asked(self, query_QD: Any, rank_N: NDArray[np.int64] | None = None) -> _C.Asked:
        """As the compiled part takes it. query_QD: the queries, where that part reads them."""
        return _C.Asked(
            query_QD, self.own_norm_Q, self.norm_Q, self.tau_Q, self.min_score_Q, self.bias_Q,
            self.scale_Q, plain_soft(self.soft), self.direction, rank_N,
        )  # fmt: skip


def plain_soft(soft: SoftRatio | None) -> tuple[float, float]:
    """weight, tau; a weight of 0 takes nothing away."""
    return (0.0, 1.0) if soft is None else (soft.weight, soft.tau)


def ask(
    query_QD: ArrayLike | RowsThere,
    *,
    tau: ArrayLike = 1.0,
    min_score: ArrayLike | None = None,
    bias: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    soft: SoftRatio | None = None,
    direction: str = "copy",
    norm_Q: ArrayLike | None = None,
    num_threads: int | None = None,
    name: str = "queries",
    ids: Sequence[str] | None = None,
    device: str = "cpu",
) -> Question:
    """Check a search's arguments, once for any number of searches.

    tau (above 0), min_score (inclusive, of the score as it comes out), bias (subtracted from cosines), scale
    (times the difference; above 0): one number or one per query.  soft: what is lost by the ratio.
    norm_Q: in place of the rows' own.
    num_threads: for the norms.  device: that of the references that will be asked: queries on the one GPU
    that it names stay there, others come to this machine's memory.  ValueError names the argument that breaks
    a rule.
    """
    rows = rows_for(query_QD, name, gpus_of(device))
    if direction not in DIRECTIONS:
        raise ValueError(f"{WHO}: direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}")
    kept_QD: NDArray[np.float32] | RowsThere
    if isinstance(rows, RowsThere):
        kept_QD, own_norm_Q = rows, rows.row_norms(name, ids)
    else:
        kept_QD = as_float32(rows.array_ND)
        own_norm_Q = row_norms(kept_QD, name, num_threads=checked_threads(num_threads), ids=ids)
    return Question(
        query_QD=kept_QD,
        own_norm_Q=own_norm_Q,
        norm_Q=own_norm_Q if norm_Q is None else checked_norms(norm_Q, len(rows), f"norms of {name}"),
        tau_Q=checked_tau(tau, len(rows)),
        min_score_Q=checked_min_score(min_score, len(rows)),
        bias_Q=checked_bias(bias, len(rows)),
        scale_Q=checked_scale(scale, len(rows)),
        soft=soft,
        direction=direction,
        name=name,
    )


def path_of(device: str) -> str:
    """What would run: the best instruction set of this machine, or "cuda"."""
    return "cuda" if gpus_of(device) else str(_C.build_info()["chosen"])


def check_count(number: int, name: str, largest: int) -> None:
    """ValueError if `number` is no whole number from 1 to `largest`."""
    if not (isinstance(number, int | np.integer) and 1 <= number <= largest):
        raise ValueError(f"{WHO}: {name} must be a whole number from 1 to {largest}, got {number!r}")


def checked_min_score(min_score: ArrayLike | None, num_queries: int) -> NDArray[np.float64]:
    """The lowest score wanted of each query, -inf where there is none."""
    min_score_Q = _one_per_query(-np.inf if min_score is None else min_score, num_queries, "min_score")
    if (bad_Q := np.isnan(min_score_Q)).any():
        raise ValueError(
            f"{WHO}: min_score must be a number, got {min_score_Q[bad_Q][0]}; "
            "give a cosine from -1 to 1, or None"
        )
    return min_score_Q


def checked_bias(bias: ArrayLike, num_queries: int) -> NDArray[np.float64]:
    """What is subtracted from the scores of each query."""
    bias_Q = _one_per_query(bias, num_queries, "bias")
    if (bad_Q := ~(np.abs(bias_Q) <= MAX_BIAS)).any():
        raise ValueError(
            f"{WHO}: bias must be a number from -{MAX_BIAS:g} to {MAX_BIAS:g}, got {bias_Q[bad_Q][0]}; it is "
            "subtracted from cosines"
        )
    return bias_Q


def checked_scale(scale: ArrayLike, num_queries: int) -> NDArray[np.float64]:
    """What the cosines of each query, less its bias, are multiplied by."""
    scale_Q = _one_per_query(scale, num_queries, "scale")
    if (bad_Q := ~((scale_Q >= 1 / MAX_SCALE) & (scale_Q <= MAX_SCALE))).any():
        raise ValueError(
            f"{WHO}: scale must be a number from {1 / MAX_SCALE:g} to {MAX_SCALE:g}, got "
            f"{scale_Q[bad_Q][0]}; cosines are multiplied by it"
        )
    return scale_Q


def checked_tau(tau: ArrayLike, num_queries: int) -> NDArray[np.float64]:
    tau_Q = _one_per_query(tau, num_queries, "tau")
    if (bad_Q := ~(tau_Q > 0)).any():
        raise ValueError(f"{WHO}: tau must be above 0, got {tau_Q[bad_Q][0]}; 1 is the paper's value")
    return tau_Q


def _one_per_query(given: ArrayLike, num_queries: int, name: str) -> NDArray[np.float64]:
    value = np.asarray(given, dtype=np.float64)
    if value.ndim != 0 and value.shape != (num_queries,):
        raise ValueError(
            f"{WHO}: {name} must be one number or one per query, shape ({num_queries},), got {value.shape}"
        )
    return np.ascontiguousarray(np.broadcast_to(value, (num_queries,)))
