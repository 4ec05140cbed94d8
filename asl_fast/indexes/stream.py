"""Every pair above a score, a batch at a time: the best pairs of as many queries as memory allows.

How many hits a query has is not known before it is searched. So a batch is asked for its best pairs, one more
than it may hold: fewer mean that these are all, as many that its queries must be asked again in smaller
batches. The next batch is as large as the hits so far allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from asl_fast.kernels.ratio_search import Progress, Question
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
