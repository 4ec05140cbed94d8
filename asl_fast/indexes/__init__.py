"""References that can be searched: rows sorted by norm, ready for one device.

For example, with `refs` and `queries` arrays of raw rows, or Embeddings:

    index = Index(refs)
    found = index.search(queries, k=10, tau=1.0)
    found.ref_row_QK, found.score_QK, found.ratio_QK
    best = index.best_pairs(queries, 500_000)          # of all queries together
    for pairs in index.pairs_above(queries, 0.8): ...  # every pair, a batch at a time
    bias_Q = ScoreNorm.parse("1.0[0,2]").bias(queries, Index(background))
    best = index.best_pairs(queries, 500_000, bias=bias_Q)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from asl_fast.indexes.faiss_index import FaissIndex
from asl_fast.indexes.parts import Part, Parts, PreparedPart, part_share
from asl_fast.indexes.score_norm import ScoreNorm
from asl_fast.indexes.searchable import Scoring, Searchable
from asl_fast.kernels.ratio_search import (
    MAX_REFS,
    GpuShare,
    PreparedRefs,
    Progress,
    Question,
    checked_norms,
    path_of,
    rows_for,
    usable_gpus,
)
from asl_fast.records import Candidates, Embeddings, Pairs

__all__ = ["FaissIndex", "Index", "ScoreNorm", "Scoring", "Searchable"]


class Index(Searchable):
    """Exact search over raw descriptor rows.

    refs: (N, D) raw rows (float16, bfloat16, float32 or float64, an array, a map of a file or a tensor), or
    Embeddings, whose norm_N then is the predicate's. norms: (N,) predicate norms of another network; they win
    over both. device: "cpu", "cuda" (the first GPU) or some of them, "cuda:0,1", which the rows are dealt
    out among. num_threads: None is every core this process may run on.
    memory_budget: most bytes for what the engine makes of the rows and holds while it searches; on GPUs, of
    each of them, and without one as much as is free there. On GPUs, rows whose codes alone fit are copied to
    page-locked memory of this machine, where the GPU reads those of survivors. Other references beyond the
    budget are searched slice by slice: each search then reads them all, from front to back, and a row without
    a direction is only named when its slice is read.
    grouping: "auto" groups the rows by likeness where many have near ones, on a CPU and without a budget: a
    search then skips most of them. Preparing takes about six seconds of a core more for a million rows, which
    pays from some 20,000 queries on; "never" for fewer.
    The rows are kept as they are, not copied: don't write to them afterwards. On the one GPU that searches,
    they are used there, as queries are: a CUDA torch.Tensor, a CuPy array, anything of DLPack.
    """

    def __init__(
        self,
        refs: ArrayLike | Embeddings,
        *,
        norms: ArrayLike | None = None,
        device: str = "cpu",
        num_threads: int | None = None,
        memory_budget: int | None = None,
        grouping: str = "auto",
    ) -> None:
        self._name, self._ids, rows = "references", None, refs
        if isinstance(refs, Embeddings):
            self._name, self._ids, rows = refs.name, refs.ids, refs.row_ND
            norms = refs.norm_N if norms is None else norms
        self._rows = rows_for(rows, self._name, usable_gpus(device))  # type: ignore[arg-type]
        self._norm_N = (
            None if norms is None else checked_norms(norms, len(self._rows), f"norms of {self._name}")
        )
        self._device, self._num_threads = device, num_threads
        self._grouping = grouping if device == "cpu" and memory_budget is None else "never"
        self._share = part_share(memory_budget, device, self.num_dims, num_threads, self._rows)
        step = MAX_REFS if self._share is None else min(MAX_REFS, self._share.num_rows)
        cuts = [slice(start, min(start + step, len(self))) for start in range(0, max(len(self), 1), step)]
        parts = [Part(num_rows=cut.stop - cut.start, prepare=partial(self._prepare, cut)) for cut in cuts]
        self._parts = Parts(parts, keep=len(parts) == 1, share=self._share)
        if len(parts) == 1:
            self._parts.prepared(0)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def num_dims(self) -> int:
        return self._rows.num_dims

    @property
    def path(self) -> str:
        """What runs: an instruction set such as "avx512vnni", or "cuda"."""
        return path_of(self._device)

    def _prepare(self, cut: slice) -> PreparedPart:
        is_all = cut.stop - cut.start == len(self)
        refs = PreparedRefs(
            self._rows.part(cut),
            norm_N=None if self._norm_N is None else self._norm_N[cut],
            device=self._device,
            num_threads=self._num_threads,
            name=self._name if is_all else f"{self._name} from row {cut.start} on",
            ids=None if self._ids is None else self._ids[cut],
            hit_bytes=None if self._share is None else self._share.hit_bytes,
            grouping=self._grouping,
            rows_on_host=isinstance(self._share, GpuShare) and self._share.rows_on_host,
        )
        rank_N = None if cut.start == 0 else np.arange(cut.start, cut.stop)
        return PreparedPart(refs=refs, rank_N=rank_N)

    def _nearest(self, question: Question, k: int, progress: Progress | None) -> Candidates:
        return self._parts.nearest(question, k, progress).candidates(lambda rank_QK: rank_QK, k)

    def _best_pairs(
        self, question: Question, num_pairs: int, k: int | None, progress: Progress | None
    ) -> Pairs:
        return self._parts.best_pairs(question, num_pairs, k, progress)

    def _pairs_above(
        self,
        question: Question,
        batch_pairs: int,
        progress: Progress | None,
        folder: str | os.PathLike[str] | None,
    ) -> Iterator[Pairs]:
        return self._parts.pairs_above(question, batch_pairs, progress, folder)
