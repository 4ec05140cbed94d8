"""References that can be searched: rows sorted by norm, ready for one device.

For example, with `refs` and `queries` arrays of raw rows, or Embeddings:

    index = Index(refs)
    found = index.search(queries, k=10, tau=1.0)
    found.ref_row_QK, found.score_QK, found.ratio_QK
"""

from __future__ import annotations

from collections.abc import Callable

from numpy.typing import ArrayLike

from asl_fast.kernels.ratio_search import PreparedRefs
from asl_fast.records import Candidates, Embeddings

__all__ = ["Index"]


class Index:
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

    def search(
        self,
        queries: ArrayLike | Embeddings,
        k: int | None = 10,
        tau: ArrayLike = 1.0,
        min_score: ArrayLike | None = None,
        *,
        direction: str = "copy",
        query_norms: ArrayLike | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Candidates:
        """The best k references of each query by cosine, among those that pass the ratio test.

        direction: "copy" keeps |query| / |reference| <= tau (the query may be an edited copy), "original"
        keeps the others, "both" keeps all.
        min_score: only pairs with score >= min_score; with k=None every such pair.
        tau, min_score: one number or one per query.
        query_norms: (Q,) predicate norms in place of the rows' own, or of the Embeddings'.
        progress(pairs_done, pairs_in_all): called about ten times a second.
        Fewer than k: the rest of the row is -1, score -inf, ratio nan. ValueError on bad input.
        """
        if isinstance(queries, Embeddings):
            rows: ArrayLike = queries.row_ND
            ids, name = queries.ids, queries.name
            query_norms = queries.norm_N if query_norms is None else query_norms
        else:
            rows, ids, name = queries, None, "queries"
        return self._refs.search(
            rows,
            k=k,
            tau=tau,
            min_score=min_score,
            direction=direction,
            norm_Q=query_norms,
            progress=progress,
            name=name,
            ids=ids,
        )
