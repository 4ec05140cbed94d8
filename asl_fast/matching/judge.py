"""The verdict: similar first (the candidates), then the direction by the ratio of the norms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast.records import COPY, ORIGINAL, Candidates, Described, Embeddings, Matches


def judge(candidates: Candidates, queries: Embeddings, refs: Described, tau: ArrayLike = 1.0) -> Matches:
    """Give every candidate pair its verdict; best score first, ties by query id, then reference id.

    verdict = "copy" where |query| / |reference| <= tau, else "original" (section 3 of the paper: the hard
    filter). tau: one number, or one for each query (Q,), finite and above 0.
    The ratio is the one that the search found, the norms are those of `queries` and `refs`.
    """
    tau_Q = _checked(candidates, queries, refs, tau)
    query_M, slot_M = np.nonzero(candidates.ref_row_QK >= 0)
    ref_M = candidates.ref_row_QK[query_M, slot_M]
    score_M = candidates.score_QK[query_M, slot_M]
    order_M = np.lexsort((_rank_by_id(refs.ids, ref_M), _rank_by_id(queries.ids, query_M), -score_M))
    query_M, slot_M, ref_M = query_M[order_M], slot_M[order_M], ref_M[order_M]
    ratio_M = candidates.ratio_QK[query_M, slot_M]
    return Matches(
        query_id_M=[queries.ids[row] for row in query_M.tolist()],
        reference_id_M=[refs.ids[row] for row in ref_M.tolist()],
        score_M=score_M[order_M],
        query_norm_M=queries.norm_N[query_M],
        reference_norm_M=refs.norm_N[ref_M],
        ratio_M=ratio_M,
        verdict_M=np.where(ratio_M <= tau_Q[query_M], COPY, ORIGINAL).tolist(),
    )


def _checked(
    candidates: Candidates, queries: Embeddings, refs: Described, tau: ArrayLike
) -> NDArray[np.float64]:
    """tau for each query, once the three records are known to belong together."""
    num_queries = len(candidates.ref_row_QK)
    if num_queries != len(queries):
        raise ValueError(
            f"judge: candidates are of {num_queries} queries but {queries.name} has {len(queries)}; "
            "hand in the queries that were searched"
        )
    last_row = int(candidates.ref_row_QK.max(initial=-1))
    if last_row >= len(refs):
        raise ValueError(
            f"judge: a candidate is reference row {last_row} but {refs.name} has {len(refs)} rows; "
            "hand in the references that were searched"
        )
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


def _rank_by_id(ids: Sequence[str], row_M: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of each row's id among the ids in use, by Python's sort: an array of text pads every id."""
    used_U, place_M = np.unique(row_M, return_inverse=True)
    used = [ids[row] for row in used_U.tolist()]
    rank_U = np.empty(len(used), dtype=np.int64)
    rank_U[sorted(range(len(used)), key=used.__getitem__)] = np.arange(len(used))
    return rank_U[place_M]
