"""Where the bar of the best pairs will probably end, told by a sample of the queries.

Without it every pair is above the bar at first, and is scored exactly: about 2 M ln(Q N / M) of them. A
search that starts from the likely bar and finds M pairs has found the best M, for all others are below it;
one that finds fewer must start anew.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from asl_fast.records import Pairs

_LEAST_SAMPLED, _QUERIES_A_SAMPLED = 64, 64
_CAUTION = 2.0  # so many times the pairs that the sample would have above the bar if it were like the whole
_RARE = 2**17  # of so many pairs one is wanted: then few are scored in any case


def likely_bar(
    num_pairs: int, num_queries: int, num_refs: int, best_of: Callable[[NDArray[np.int64], int], Pairs]
) -> float | None:
    """A score that num_pairs pairs probably reach; None where finding it costs more than it saves.

    best_of(rows of queries, number): the best pairs of some of the queries.
    """
    num_sampled = max(_LEAST_SAMPLED, num_queries // _QUERIES_A_SAMPLED)
    if num_queries < 16 * num_sampled or num_pairs * _RARE < num_queries * num_refs:
        return None
    row_S = np.sort(np.random.default_rng(0).choice(num_queries, num_sampled, replace=False))
    enough = int(np.ceil(_CAUTION * num_pairs * num_sampled / num_queries)) + 16
    best = best_of(row_S, enough)
    return float(best.score_M[-1]) if len(best) == enough else None
