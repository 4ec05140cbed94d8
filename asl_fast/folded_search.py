"""Indexes and folding joined: the three ways to search, by picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast.indexes import Searchable
from asl_fast.kernels.ratio_search import Progress
from asl_fast.matching import PictureRows, best_of, folded_best_pairs, folded_nearest, folded_stream
from asl_fast.records import Pairs
from asl_fast.thresholds import SoftRatio


def search_folded(
    index: Searchable,
    refs: PictureRows,
    queries: PictureRows,
    *,
    k: int | None,
    num_pairs: int | None,
    min_score: float | None,
    tau: float,
    direction: str,
    bias: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    soft: SoftRatio | None = None,
    progress: Progress | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Iterator[Pairs]:
    """The best k pictures of each query picture; or the best num_pairs pairs of all (with k, at most k of
    each); or, with neither, every pair from min_score on. All pairs of a query picture come in one batch.

    index: of refs.rows, whose norms are those of the pictures.  bias, scale: of each view of a query.
    """
    query_QD, norm_Q = queries.rows.row_ND, queries.norm_N
    bias_Q, scale_Q = np.broadcast_to(bias, len(queries)), np.broadcast_to(scale, len(queries))

    def asked(rows: NDArray[np.int64] | slice) -> dict[str, Any]:
        return {
            "direction": direction, "query_norms": norm_Q[rows], "bias": bias_Q[rows], "scale": scale_Q[rows],
            "soft": soft, "progress": progress,
        }  # fmt: skip

    def nearest(rows: NDArray[np.int64], number: int) -> Pairs:
        return index.search(query_QD[rows], number, tau, min_score, **asked(rows)).pairs()

    def best(number: int) -> Pairs:
        return index.best_pairs(query_QD, number, tau, min_score, **asked(slice(None)))

    if k is not None:
        batches = folded_nearest(nearest, queries, refs, k)
        if num_pairs is None:
            yield from batches
        else:
            yield best_of(batches, queries, num_pairs)
    elif num_pairs is not None:
        yield folded_best_pairs(best, queries, refs, num_pairs)
    else:
        rows = np.argsort(queries.picture_N, kind="stable")
        above = index.pairs_above(
            query_QD[rows], -np.inf if min_score is None else min_score, tau, folder=folder, **asked(rows),
        )  # fmt: skip
        yield from folded_stream(above, rows, queries, refs)
