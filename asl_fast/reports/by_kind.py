"""The same predictions, kind by kind and edit family by edit family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asl_fast.reports import metrics
from asl_fast.reports.kinds import COPY_KIND, QueryKinds
from asl_fast.reports.truth import Truth

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Of one group of queries, with the operating threshold and without any.

    recall: share of the group's matches that are predicted at the threshold.  recall_at_1: share of its
    queries whose best prediction is right; both None where the group has no match.
    called_copy: share of its queries with a prediction at the threshold (that the filter keeps).
    called_copy_at_1: share of its queries whose best prediction, of all, the filter keeps.
    """

    recall: float | None
    recall_at_1: float | None
    called_copy: float
    called_copy_at_1: float


@dataclass(frozen=True, kw_only=True)
class Group:
    """family: None for the whole kind. filtered: None without verdicts."""

    kind: str
    family: str | None
    num_queries: int
    num_matches: int
    similarity: Shares
    filtered: Shares | None


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Predictions as the metrics take them.

    query_ids: what query_P counts.  is_kept_P: None without a filter.
    """

    query_ids: list[str]
    query_P: NDArray[np.int64]
    score_P: NDArray[np.float64]
    is_right_P: Flags
    is_kept_P: Flags | None


def measure_groups(scored: Scored, truth: Truth, kinds: QueryKinds, threshold: float) -> tuple[Group, ...]:
    """Every kind, copies first, each followed by its families if it has several names of them."""
    families = sorted(set(kinds.group_of.values()), key=lambda group: (group[0] != COPY_KIND, group))
    by_family = _Counts(families, kinds.group_of, scored, truth, threshold)
    whole_kinds = list(dict.fromkeys((kind, "") for kind, _ in families))
    kind_of = {query: (kind, "") for query, (kind, _) in kinds.group_of.items()}
    by_kind = _Counts(whole_kinds, kind_of, scored, truth, threshold)
    groups = []
    for place, (kind, _) in enumerate(whole_kinds):
        groups.append(by_kind.group(place, kind, None))
        named = [(at, group[1]) for at, group in enumerate(families) if group[0] == kind]
        if len(named) > 1:
            groups += [by_family.group(at, kind, family) for at, family in named]
    return tuple(groups)


class _Counts:
    """Counts of every group of one grouping. Queries that were never predicted count as not found."""

    def __init__(
        self,
        groups: list[tuple[str, str]],
        group_of: dict[str, tuple[str, str]],
        scored: Scored,
        truth: Truth,
        threshold: float,
    ) -> None:
        place_of = {group: place for place, group in enumerate(groups)}
        self._num = len(groups)
        self._group_Q = np.array(
            [place_of.get(group_of.get(query, ("", "")), -1) for query in scored.query_ids], dtype=np.int64
        )
        self.num_queries_G = self._tally(np.array([place_of[group] for group in group_of.values()]))
        self.num_matches_G = self._tally(np.array([place_of[group_of[query]] for query, _ in truth.pairs]))
        everything = np.ones(len(scored.score_P), dtype=bool)
        self.similarity = self._shares(scored, everything, threshold)
        self.filtered = (
            None if scored.is_kept_P is None else self._shares(scored, scored.is_kept_P, threshold)
        )

    def group(self, place: int, kind: str, family: str | None) -> Group:
        num_queries, num_matches = int(self.num_queries_G[place]), int(self.num_matches_G[place])

        def shares(counts: dict[str, NDArray[np.int64]]) -> Shares:
            has_match = num_matches > 0
            return Shares(
                recall=counts["found"][place] / num_matches if has_match else None,
                recall_at_1=counts["right_at_1"][place] / num_queries if has_match else None,
                called_copy=counts["called"][place] / num_queries,
                called_copy_at_1=counts["called_at_1"][place] / num_queries,
            )

        return Group(
            kind=kind,
            family=family,
            num_queries=num_queries,
            num_matches=num_matches,
            similarity=shares(self.similarity),
            filtered=None if self.filtered is None else shares(self.filtered),
        )

    def _shares(self, scored: Scored, is_kept_P: Flags, threshold: float) -> dict[str, NDArray[np.int64]]:
        query_P, score_P = scored.query_P, scored.score_P
        taken_P = is_kept_P & (score_P >= threshold)
        called_Q = np.zeros(len(self._group_Q), dtype=bool)
        called_Q[query_P[taken_P]] = True
        survivors = query_P[is_kept_P], score_P[is_kept_P], scored.is_right_P[is_kept_P]
        called_at_1_Q = metrics.best_is_any(query_P, score_P, is_kept_P)
        return {
            "found": self._tally(self._group_Q[query_P[taken_P & scored.is_right_P]]),
            "right_at_1": self._tally(self._group_Q[np.flatnonzero(metrics.best_is_all(*survivors))]),
            "called": self._tally(self._group_Q[called_Q]),
            "called_at_1": self._tally(self._group_Q[np.flatnonzero(called_at_1_Q)]),
        }

    def _tally(self, group_of_each: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(group_of_each[group_of_each >= 0], minlength=self._num)
