"""Every pair above a score, a batch at a time: the best pairs of as many queries as memory allows.

How many hits a query has is not known before it is searched. So a batch is asked for its best pairs, one more
than it may hold: fewer mean that these are all, as many that its queries must be asked again in smaller
batches. The next batch is as large as the hits so far allow. The streams of several parts of the references
are merged on disk, so that each part is prepared once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from asl_fast.kernels.ratio_search import Progress, Question
from asl_fast.pair_runs import PairRuns, Run, as_pairs
from asl_fast.records import Pairs

BATCH_PAIRS = 2**18
_FIRST_QUERIES, _MAX_QUERIES = 512, 2**16
BestPairs = Callable[[Question, int, Progress | None], Pairs]


def streamed(
    question: Question,
    best_pairs: BestPairs,
    *,
    num_refs: int,
    batch_pairs: int = BATCH_PAIRS,
    progress: Progress | None = None,
) -> Iterator[Pairs]:
    """Yield every pair at or above the question's scores: queries in order, best first within a query.

    A batch holds whole queries and at most batch_pairs pairs, but for a query that has more by itself.
    best_pairs(question, num_pairs, progress): the best num_pairs of a part of the queries.
    """
    in_all = len(question) * num_refs
    first, step = 0, _FIRST_QUERIES
    while first < len(question):
        part = question.part(slice(first, first + step))
        limit = batch_pairs if len(part) > 1 else num_refs
        found = best_pairs(part, limit + 1, _scaled(progress, first * num_refs, len(part) * num_refs, in_all))
        if len(found) > limit:
            step = max(1, len(part) // 8)
            continue
        if len(found):
            yield _by_query(found, first)
        first += len(part)
        room = int(batch_pairs / 2 * len(part) / max(1, len(found)))
        step = max(1, min(room, 8 * step, _MAX_QUERIES))


def merged(
    streams: Iterable[Iterator[Pairs]],
    *,
    num_queries: int,
    batch_pairs: int = BATCH_PAIRS,
    folder: str | os.PathLike[str] | None = None,
) -> Iterator[Pairs]:
    """What `streamed` would yield for all parts together, from what it yields for each of them.

    Each stream is taken to its end before the next; pairs wait in a file in `folder`, 32 bytes each.
    """
    with PairRuns(folder) as runs:
        num_Q = np.zeros(num_queries, np.int64)
        for stream in streams:
            runs.add(_counted(stream, num_Q))
        end_Q = np.cumsum(num_Q)
        read = runs.read(batch_pairs)
        first, done = 0, 0
        while first < num_queries:
            stop = max(int(np.searchsorted(end_Q, done + batch_pairs, "right")), first + 1)
            if end_Q[stop - 1] > done:
                block = np.concatenate([part for run in read for part in _before(run, stop)])
                yield as_pairs(
                    block[np.lexsort((block["ref_row_M"], -block["score_M"], block["query_row_M"]))]
                )
            first, done = stop, int(end_Q[stop - 1])


def _counted(stream: Iterator[Pairs], num_Q: NDArray[np.int64]) -> Iterator[Pairs]:
    """The same, adding each query's pairs to num_Q."""
    for batch in stream:
        first = int(batch.query_row_M[0])
        num_B = np.bincount(batch.query_row_M - first)
        num_Q[first : first + len(num_B)] += num_B
        yield batch


def _before(run: Run, query_row: int) -> Iterator[NDArray[np.void]]:
    """Take a run's pairs of the queries before this one."""
    while run.fill():
        yield run.take(int(np.searchsorted(run.block["query_row_M"], query_row)))
        if len(run.block):
            return


def _by_query(found: Pairs, first: int) -> Pairs:
    """Best first -> by query, best first within one; query rows counted from the first of all queries."""
    ordered = found[np.argsort(found.query_row_M, kind="stable")]
    ordered.query_row_M[:] += first
    return ordered


def _scaled(progress: Progress | None, done: int, share: int, in_all: int) -> Progress | None:
    """Progress of one batch as that of all."""
    if progress is None:
        return None
    return lambda now, total: progress(done + (share if total == 0 else share * now // total), in_all)
