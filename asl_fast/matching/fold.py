"""Pairs of views folded to pairs of pictures, by the best pair of views: exact, whatever is searched.

A search is handed in as a function, since stages don't import one another. All results hold rows of the views
that matched, one pair for two pictures; queries and refs are `PictureRows`.

Pairs of views are in a total order: score, then reference row, then query row. Two pictures stand where their
first pair stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from asl_fast.matching.pictures import PictureRows
from asl_fast.records import Pairs

_PAIRS_AT_ONCE = 2**22
Rows = NDArray[np.int64]
Nearest = Callable[
    [Rows, int], Pairs
]  # (query rows, k): the best k references of each; query_row_M counts these
BestPairs = Callable[[int], Pairs]  # (number): the best pairs of all, best first


def folded(pairs: Pairs, queries: PictureRows, refs: PictureRows, k: int | None = None) -> Pairs:
    """The first pair of every two pictures; by query picture, best first. k: at most so many of each."""
    query_P, ref_P = queries.picture_N[pairs.query_row_M], refs.picture_N[pairs.ref_row_M]
    order_M = np.lexsort((pairs.query_row_M, pairs.ref_row_M, -pairs.score_M, query_P))
    both_M = (query_P * refs.num_pictures + ref_P)[order_M]
    first_M = np.sort(np.unique(both_M, return_index=True)[1])
    kept_M = order_M[first_M]
    if k is not None:
        start_M = np.searchsorted(query_P[kept_M], query_P[kept_M], side="left")
        kept_M = kept_M[np.arange(len(kept_M)) - start_M < k]
    return pairs[kept_M]


def folded_nearest(nearest: Nearest, queries: PictureRows, refs: PictureRows, k: int) -> Iterator[Pairs]:
    """The nearest k pictures of each query picture, batches of query pictures at a time.

    A query view's first (k - 1) V + 1 rows, with at most V views a reference, hold k pictures or all there
    are. A picture that belongs to the answer is preceded by fewer than k others in the list of the query view
    that finds it, so it is among them with its best pair: no list needs to be longer.
    """
    fetch = min(len(refs), (k - 1) * refs.most_views + 1)
    order_Q = np.argsort(queries.picture_N, kind="stable")
    starts = np.searchsorted(queries.picture_N[order_Q], np.arange(queries.num_pictures + 1))
    first = 0
    while first < queries.num_pictures:
        room = starts[first] + max(1, _PAIRS_AT_ONCE // fetch)
        end = max(first + 1, int(np.searchsorted(starts, room, side="right")) - 1)
        rows = order_Q[starts[first] : starts[end]]
        yield folded(_of(nearest(rows, fetch), rows), queries, refs, k)
        first = end


def folded_best_pairs(
    best_pairs: BestPairs, queries: PictureRows, refs: PictureRows, num_pairs: int
) -> Pairs:
    """The best num_pairs pairs of pictures, by query picture: more pairs of views are asked for until so many
    pairs of pictures are among them, or there are no more.

    Ties at the last place go by query row, then reference row, as in what is asked.
    """
    in_all = len(queries) * len(refs)
    asked = min(in_all, 4 * num_pairs)
    while True:
        pairs = best_pairs(asked)
        both_M = queries.picture_N[pairs.query_row_M] * refs.num_pictures + refs.picture_N[pairs.ref_row_M]
        first_M = np.sort(np.unique(both_M, return_index=True)[1])
        if len(first_M) >= num_pairs or len(pairs) < asked or asked == in_all:
            last = first_M[:num_pairs][-1] + 1 if len(first_M) else 0
            return folded(pairs[:last], queries, refs)
        asked = min(in_all, 2 * asked)


def best_of(batches: Iterable[Pairs], queries: PictureRows, num_pairs: int) -> Pairs:
    """Of folded pairs the best num_pairs, by query picture; ties by query row, then reference row."""
    pairs = Pairs.joined(list(batches))
    best_M = np.lexsort((pairs.ref_row_M, pairs.query_row_M, -pairs.score_M))[:num_pairs]
    pairs = pairs[np.sort(best_M)]
    return pairs[np.argsort(queries.picture_N[pairs.query_row_M], kind="stable")]


def folded_stream(
    batches: Iterable[Pairs], rows: Rows, queries: PictureRows, refs: PictureRows
) -> Iterator[Pairs]:
    """Every pair of views, in batches with the query rows `rows` in order, those of a picture one after the
    other; folded, all pairs of a query picture in one batch.
    """
    waiting: Pairs | None = None
    for batch in batches:
        batch = _of(batch, rows)
        if waiting is not None:
            batch = Pairs.joined([waiting, batch])
        if not len(batch):
            continue
        picture_M = queries.picture_N[batch.query_row_M]
        last_M = picture_M == picture_M[-1]  # its other views may come in the next batch
        waiting = batch[last_M]
        if not last_M.all():
            yield folded(batch[~last_M], queries, refs)
    if waiting is not None:
        yield folded(waiting, queries, refs)


def _of(pairs: Pairs, rows: Rows) -> Pairs:
    """Query rows that count `rows` -> rows of all."""
    return Pairs(
        query_row_M=rows[pairs.query_row_M],
        ref_row_M=pairs.ref_row_M,
        score_M=pairs.score_M,
        ratio_M=pairs.ratio_M,
    )
