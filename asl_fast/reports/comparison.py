"""Two lists of predictions against one truth: what differs, and how sure that is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from asl_fast.reports.bootstrap import Difference, Ranking, all_queries, differences
from asl_fast.reports.evaluation import check_common_ids, kept_by
from asl_fast.reports.predictions import Predictions
from asl_fast.reports.truth import Truth


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """b against a, by figure (reports.bootstrap).

    filtered: each with its verdicts, all of a list that has none; None where neither has any.
    """

    a: str
    b: str
    n: int
    similarity: dict[str, Difference]
    filtered: dict[str, Difference] | None
    resamples: int
    seed: int

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def compare(
    a: Predictions,
    b: Predictions,
    truth: Truth,
    *,
    resamples: int,
    seed: int = 0,
    tau: float | None = None,
) -> Comparison:
    """Paired: every resample draws the same queries for both. tau judges those anew that have ratios."""
    for each in (a, b):
        check_common_ids(each, truth)
    queries = all_queries(truth, a, b)
    kept = [kept_by(each, tau) for each in (a, b)]

    def found(kept_a: Any, kept_b: Any) -> dict[str, Difference]:
        rankings = Ranking(a, truth, queries, kept_a), Ranking(b, truth, queries, kept_b)
        return differences(*rankings, resamples, seed)

    return Comparison(
        a=a.name,
        b=b.name,
        n=len(truth.matched_queries),
        similarity=found(None, None),
        filtered=None if kept[0] is None and kept[1] is None else found(*kept),
        resamples=resamples,
        seed=seed,
    )
