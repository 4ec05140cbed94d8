"""References that can be searched: rows sorted by norm, ready for one device.

For example, with `refs` and `queries` arrays of raw rows, or Embeddings:

    index = Index(refs)
    found = index.search(queries, k=10, tau=1.0)
    found.ref_row_QK, found.score_QK, found.ratio_QK
    best = index.best_pairs(queries, 500_000)          # of all queries together
    for pairs in index.pairs_above(queries, 0.8): ...  # every pair, a batch at a time
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from asl_fast.indexes.faiss_index import FaissIndex
from asl_fast.indexes.searchable import Searchable
from asl_fast.kernels.ratio_search import PreparedRefs, Progress, Question
from asl_fast.records import Candidates, Embeddings, Pairs

__all__ = ["FaissIndex", "Index", "Searchable"]


class Index(Searchable):
    """Exact search over raw descriptor rows.

    refs: (N, D) raw rows (float16, float32 or float64; searched as float32), or Embeddings, whose norm_N
    then is the predicate's. norms: (N,) predicate norms of another network; they win over both.
    device: "cpu" or "cuda".  num_threads: None is every core this process may run on.
    The rows are kept as they are, not copied: don't write to them afterwards.
    """

    def __init__(
        self,
        refs: ArrayLike | Embeddings,
        *,
        norms: ArrayLike | None = None,
        device: str = "cpu",
        num_threads: int | None = None,
    ) -> None:
        self._num_threads = num_threads
        if isinstance(refs, Embeddings):
            self._refs = PreparedRefs(
                refs.row_ND,
                norm_N=refs.norm_N if norms is None else norms,
                device=device,
                num_threads=num_threads,
                name=refs.name,
                ids=refs.ids,
            )
        else:
            self._refs = PreparedRefs(refs, norm_N=norms, device=device, num_threads=num_threads)

    def __len__(self) -> int:
        return len(self._refs)

    @property
    def num_dims(self) -> int:
        return int(self._refs.num_dims)

    @property
    def path(self) -> str:
        """What runs: an instruction set such as "avx512vnni", or "cuda"."""
        return self._refs.path

    def _nearest(self, question: Question, k: int, progress: Progress | None) -> Candidates:
        return self._refs.nearest(question, k, progress=progress)

    def _best_pairs(
        self, question: Question, num_pairs: int, k: int | None, progress: Progress | None
    ) -> Pairs:
        return self._refs.best_pairs(question, num_pairs, k=k, progress=progress)
