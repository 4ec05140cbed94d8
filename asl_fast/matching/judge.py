"""The verdict: similar first (the pairs found), then the direction by the ratio of the norms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast.matching.pictures import PictureRows
from asl_fast.records import COPY, ORIGINAL, Described, Matches, Pairs


def judge(pairs: Pairs, queries: Described, refs: Described, tau: ArrayLike = 1.0) -> Matches:
    """Give every pair its verdict; best score first, ties by query id, then reference id.

    verdict = "copy" where |query| / |reference| <= tau, else "original" (section 3 of the paper: the hard
    filter). tau: one number, or one for each query (Q,), finite and above 0.
    The ratio is the one that the search found, the norms are those of `queries` and `refs`.
    """
    check_pairs(pairs, queries, refs)
    tau_Q = checked_tau(tau, len(queries))
    return verdicts(in_order(pairs, ranks(queries.ids), refs.ids), queries, refs, tau_Q)


def verdicts(pairs: Pairs, queries: Described, refs: Described, tau_Q: NDArray[np.float64]) -> Matches:
    """Matches in the order of the pairs."""
    return Matches(
        query_id_M=[queries.ids[row] for row in pairs.query_row_M.tolist()],
        reference_id_M=[refs.ids[row] for row in pairs.ref_row_M.tolist()],
        score_M=pairs.score_M,
        query_norm_M=queries.norm_N[pairs.query_row_M],
        reference_norm_M=refs.norm_N[pairs.ref_row_M],
        ratio_M=pairs.ratio_M,
        verdict_M=np.where(pairs.ratio_M <= tau_Q[pairs.query_row_M], COPY, ORIGINAL).tolist(),
        query_view_M=_views(queries, pairs.query_row_M),
        reference_view_M=_views(refs, pairs.ref_row_M),
    )


def _views(side: Described, row_M: NDArray[np.int64]) -> list[str] | None:
    return [side.view_N[row] for row in row_M.tolist()] if isinstance(side, PictureRows) else None


def in_order(pairs: Pairs, query_rank_Q: NDArray[np.int64], ref_ids: Sequence[str]) -> Pairs:
    """Best score first, ties by query id (its rank), then reference id."""
    query_rank_M = query_rank_Q[pairs.query_row_M]
    order_M = np.lexsort((query_rank_M, -pairs.score_M))
    pairs, query_rank_M = pairs[order_M], query_rank_M[order_M]
    same_as_next_M = (pairs.score_M[1:] == pairs.score_M[:-1]) & (query_rank_M[1:] == query_rank_M[:-1])
    tied_M = np.append(same_as_next_M, False) | np.append(False, same_as_next_M)
    if not tied_M.any():
        return pairs
    ref_rank_M = np.zeros(len(pairs), np.int64)  # only ties are told apart: reading an id costs
    row_U, place_T = np.unique(pairs.ref_row_M[tied_M], return_inverse=True)
    ref_rank_M[tied_M] = ranks([ref_ids[row] for row in row_U.tolist()])[place_T]
    return pairs[np.lexsort((ref_rank_M, query_rank_M, -pairs.score_M))]


def ranks(ids: Sequence[str]) -> NDArray[np.int64]:
    """Place of each id in Python's sort: an array of text pads every id."""
    rank_N = np.empty(len(ids), np.int64)
    rank_N[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    return rank_N


def check_pairs(pairs: Pairs, queries: Described, refs: Described) -> None:
    """ValueError where pairs can't be of these queries and references."""
    for side, row_M, given in (("query", pairs.query_row_M, queries), ("reference", pairs.ref_row_M, refs)):
        last_row = int(row_M.max(initial=-1))
        if last_row >= len(given):
            raise ValueError(
                f"judge: a pair is of {side} row {last_row} but {given.name} has {len(given)} rows; "
                "hand in what was searched"
            )


def checked_tau(tau: ArrayLike, num_queries: int) -> NDArray[np.float64]:
    """tau of each query."""
    given = np.asarray(tau, dtype=np.float64)
    if given.shape not in ((), (num_queries,)):
        raise ValueError(
            f"judge: tau must be one number or one for each of the {num_queries} queries, "
            f"got shape {given.shape}"
        )
    bad = ~(np.isfinite(given) & (given > 0))
    if bad.any():
        raise ValueError(
            f"judge: tau must be finite and above 0, got {given[bad].flat[0]}; 1.0 is the paper's"
        )
    return np.broadcast_to(given, (num_queries,))
