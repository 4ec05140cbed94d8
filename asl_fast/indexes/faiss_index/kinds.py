"""What must be known of kinds of FAISS indexes: wrapped or not, exact or not, what a search takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.indexes.faiss_index.library import library

_HOLD_FLOATS = ("IndexFlat", "IndexIVFFlat", "IndexHNSWFlat", "IndexNSGFlat", "IndexRefineFlat")


def holds_floats(index: Any) -> bool:
    """True where the rows are kept as they were added, so that their scores and they themselves are exact."""
    faiss = library()
    if isinstance(index, faiss.IndexIDMap):
        return holds_floats(faiss.downcast_index(index.index))
    return isinstance(index, tuple(getattr(faiss, name) for name in _HOLD_FLOATS))


def rows_of(index: Any, first: int, count: int) -> NDArray[np.float32]:
    """So many rows as it holds them. RuntimeError where this kind gives none back.

    FAISS throws inside a parallel loop, which ends the process, where a kind without a reconstruct of its own
    is asked for many rows; so it is asked for one first, but for IVF, which only knows many.
    """
    faiss = library()
    if isinstance(index, faiss.IndexIDMap):
        raise RuntimeError("an IDMap gives rows back by its own ids only")
    if faiss.try_extract_index_ivf(index) is None:
        index.reconstruct(first)
    row_BD: NDArray[np.float32] = index.reconstruct_n(first, count)
    return row_BD


def most_training_rows(index: Any) -> int:
    """More rows than this don't teach it anything: FAISS takes at most 256 for each centroid."""
    ivf = library().try_extract_index_ivf(index)
    return 256 * max(256, 0 if ivf is None else ivf.nlist)


def search_parameters(index: Any, selector: Any, fetch: int, effort: float) -> Any:
    """FAISS's search parameters of this kind of index: the index's own, with a selector.

    effort: how many times the first fetch this one is. A graph's efSearch grows with it: a graph that is
    searched with a smaller efSearch than `fetch` gives up early.
    """
    faiss = library()

    def inner(wrapped: Any) -> Any:
        return search_parameters(faiss.downcast_index(wrapped), selector, fetch, effort)

    if isinstance(index, faiss.IndexIDMap):
        return inner(index.index)
    if isinstance(index, faiss.IndexPreTransform):
        return faiss.SearchParametersPreTransform(index_params=inner(index.index))
    if isinstance(index, faiss.IndexRefine):
        return faiss.IndexRefineSearchParameters(
            k_factor=index.k_factor, base_index_params=inner(index.base_index)
        )
    if isinstance(index, faiss.IndexIVF):
        return faiss.SearchParametersIVF(sel=selector, nprobe=index.nprobe, max_codes=index.max_codes)
    if isinstance(index, faiss.IndexHNSW):
        return faiss.SearchParametersHNSW(
            sel=selector, efSearch=max(int(index.hnsw.efSearch * effort), fetch)
        )
    return faiss.SearchParameters(sel=selector)
