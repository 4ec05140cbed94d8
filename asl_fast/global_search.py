"""indexes + reports: descriptors of both sides, searched exactly, as the best pairs of all together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from asl_fast.indexes import Index
from asl_fast.records import Embeddings
from asl_fast.reports import Predictions, Truth
from asl_fast.thresholds import SoftRatio

UNIT = 1e-3  # rows whose lengths differ from 1 by less hold no norm: a model normalised them
GROUPING_PAYS = 20_000  # queries that save what grouping the references costs


def best_predictions(
    refs: Embeddings,
    queries: Embeddings,
    num_pairs: int,
    *,
    tau: float = 1.0,
    bias: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    soft: SoftRatio | None = None,
    device: str = "cpu",
    num_threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """The best num_pairs of all queries together, of either direction, with ratio and verdict at tau; without
    them where both sides have length 1.  bias, scale, soft: what makes a score of a cosine, see Searchable.
    """
    grouping = "auto" if len(queries) >= GROUPING_PAYS else "never"
    index = Index(refs, device=device, num_threads=num_threads, grouping=grouping)
    pairs = index.best_pairs(
        queries, num_pairs, direction="both", bias=bias, scale=scale, soft=soft, progress=progress
    )
    has_norms = holds_norms(refs, queries)
    return Predictions(
        query_ids=list(queries.ids),
        reference_ids=list(refs.ids),
        query_P=pairs.query_row_M,
        reference_P=pairs.ref_row_M,
        score_P=pairs.score_M,
        ratio_P=pairs.ratio_M if has_norms else None,
        is_copy_P=pairs.ratio_M <= tau if has_norms else None,
        name=queries.name,
    )


def of_queries(queries: Embeddings, truth: Truth, unlisted: str) -> Embeddings:
    """The queries that the truth names, or all with unlisted "count". ValueError with "refuse" names the
    first that it doesn't name.
    """
    named = truth.matched_queries | truth.distractors
    rows = [row for row, query in enumerate(queries.ids) if query in named]
    if not rows:
        raise ValueError(
            f"{queries.name}: none of its ids is a query of {truth.name}; it has {queries.ids[0]!r}, the "
            f"truth {truth.pairs[0][0]!r}; both must name queries in the same way"
        )
    if len(rows) == len(queries) or unlisted == "count":
        return queries
    if unlisted == "refuse":
        unknown = next(query for query in queries.ids if query not in named)
        raise ValueError(
            f"{queries.name}: query {unknown!r} is unknown to {truth.name} ({len(queries) - len(rows):,} "
            "such); give the truth of all queries, or say --unlisted drop or count"
        )
    return Embeddings(
        ids=[queries.ids[row] for row in rows],
        row_ND=queries.row_ND[rows],
        norm_N=queries.norm_N[rows],
        path_N=None if queries.path_N is None else [queries.path_N[row] for row in rows],
        fingerprint=queries.fingerprint,
        norms_fingerprint=queries.norms_fingerprint,
        name=queries.name,
    )


def check_embedded(truth: Truth, queries: Embeddings, refs: Embeddings) -> None:
    """ValueError naming the line of the truth whose query or reference has no row."""
    query_ids, ref_ids = set(queries.ids), set(refs.ids)
    for place, (query, reference) in enumerate(truth.pairs):
        for what, name, there, side in (
            ("query", query, query_ids, queries),
            ("reference", reference, ref_ids, refs),
        ):
            if name not in there:
                raise ValueError(
                    f"{truth.where(place)}: {what} {name!r} is not in {side.name} (which has "
                    f"{side.ids[0]!r}); embed it too, or say --missing miss to count its matches as not found"
                )


def holds_norms(refs: Embeddings, queries: Embeddings) -> bool:
    """False where the rows of both sides have length 1."""
    return not (_is_unit(refs) and _is_unit(queries))


def _is_unit(side: Embeddings) -> bool:
    return bool(np.abs(side.norm_N - 1).max() < UNIT)
