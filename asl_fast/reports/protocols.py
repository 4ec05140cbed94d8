"""DISC21 and NDEC: which queries count, how many predictions, how many dimensions."""

from __future__ import annotations

from dataclasses import dataclass

from asl_fast.reports.predictions import Predictions, line_of_query
from asl_fast.reports.truth import Truth

MAX_PREDICTIONS = 500_000
MAX_DESCRIPTOR_DIMS = 256


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """first, last: ids of the queries that count, both inclusive; None where every one does.

    num_queries, num_matches: as published; numbers on fewer compare with nothing.
    """

    name: str
    num_queries: int
    num_matches: int
    first: str | None = None
    last: str | None = None

    def holds(self, query_id: str) -> bool:
        return self.first is None or self.last is None or self.first <= query_id <= self.last

    def part_of(self, truth: Truth) -> Truth:
        """The truth of these queries. ValueError where there is none of them."""
        pairs = tuple(pair for pair in truth.pairs if self.holds(pair[0]))
        if not pairs:
            raise ValueError(
                f"{truth.name}: has no match of a query from {self.first} to {self.last}, so it is not the "
                f"truth of {self.name}; its first query is {truth.pairs[0][0]!r}"
            )
        lines = tuple(
            line for pair, line in zip(truth.pairs, truth.lines, strict=False) if self.holds(pair[0])
        )
        distractors = frozenset(query for query in truth.distractors if self.holds(query))
        return Truth(pairs=pairs, distractors=distractors, name=truth.name, lines=lines)

    def remark(self, truth: Truth) -> str:
        """Whether this is the published set, in words."""
        num_queries = len(truth.matched_queries) + len(truth.distractors)
        if (num_queries, len(truth.pairs)) == (self.num_queries, self.num_matches):
            return f"{self.name}: {self.num_queries:,} queries, {self.num_matches:,} matches, as published"
        return (
            f"{self.name} has {self.num_queries:,} queries and {self.num_matches:,} matches, this truth "
            f"{num_queries:,} and {len(truth.pairs):,}: not to be compared with published numbers"
        )


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(name="disc21-dev1", num_queries=25_000, num_matches=4_991, first="Q00000", last="Q24999"),
        Protocol(name="disc21-dev2", num_queries=25_000, num_matches=5_009, first="Q25000", last="Q49999"),
        Protocol(name="disc21-phase2", num_queries=50_000, num_matches=10_000, first="Q50000", last="Q99999"),
        Protocol(name="ndec", num_queries=49_252, num_matches=5_009),
    )
}


REFUSE, DROP, COUNT = "refuse", "drop", "count"


def counted(predictions: Predictions, truth: Truth, unlisted: str | None) -> Predictions:
    """The predictions that count. unlisted: what becomes of queries that the truth doesn't name: "refuse",
    "drop", or "count" as queries without a match. None refuses them if the truth names any query without a
    match, for then it should name them all, and else counts them.
    """
    named = truth.matched_queries | truth.distractors
    unlisted = unlisted or (REFUSE if truth.distractors else COUNT)
    if unlisted == COUNT:
        return predictions
    if unlisted == DROP:
        return predictions.of_queries(named.__contains__)
    unknown = [query for query in predictions.query_ids if query not in named]
    if unknown and not named.isdisjoint(predictions.query_ids):
        raise ValueError(
            f"{line_of_query(predictions.name, unknown[0])}: query {unknown[0]!r} is unknown to {truth.name} "
            f"({len(unknown):,} such); give the truth of all queries, or say --unlisted drop or count"
        )
    return predictions


def check_dims(num_dims: int, name: str) -> None:
    """The descriptor track's limit."""
    if num_dims > MAX_DESCRIPTOR_DIMS:
        raise ValueError(
            f"{name} has {num_dims} dimensions, but DISC21's descriptor track takes at most "
            f"{MAX_DESCRIPTOR_DIMS}; reduce them (PCA), or measure with --track matching"
        )


def check_number(predictions: Predictions) -> None:
    """The limit of both tracks on all queries together."""
    if len(predictions) > MAX_PREDICTIONS:
        raise ValueError(
            f"{predictions.name} holds {len(predictions):,} predictions, but DISC21 and NDEC take at most "
            f"{MAX_PREDICTIONS:,} of all queries together; --max-predictions {MAX_PREDICTIONS} keeps the best"
        )
