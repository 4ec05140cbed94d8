"""What a benchmark says of its queries: `queries.csv` of query_id,kind,family beside the ground truth."""

from __future__ import annotations

import os
from dataclasses import dataclass

from asl_fast.files import csv_rows
from asl_fast.reports.truth import Truth

COPY_KIND = "copy"
COLUMNS = ("query_id", "kind")


@dataclass(frozen=True, kw_only=True)
class QueryKinds:
    """group_of: (kind, family) of each query. kind: "copy" where the truth has a match, any other word where
    it has none (reversed, look-alike, easy, ...). family: of its edit, "" where nothing is said.
    """

    group_of: dict[str, tuple[str, str]]
    name: str = "kinds"


def holds_kinds(path: str | os.PathLike[str]) -> bool:
    """Whether a file is there that begins with such a header; a list of pictures does not."""
    if not os.path.isfile(path):
        return False
    _, header = next(csv_rows(path), (1, []))
    return {cell.strip().lower() for cell in header}.issuperset(COLUMNS)


def read_kinds(path: str | os.PathLike[str], truth: Truth) -> QueryKinds:
    """Read `query_id,kind` with an optional `family`; other columns are ignored.

    ValueError names file and line of what can't be right, by itself or beside the truth.
    """
    rows = csv_rows(path)
    line, header = next(rows, (1, []))
    names = [cell.strip().lower() for cell in header]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ValueError(
            f"{path} line {line}: has no column {', '.join(missing)}; kinds are rows of query_id,kind,family"
        )
    query_at, kind_at = (names.index(name) for name in COLUMNS)
    family_at = names.index("family") if "family" in names else None
    line_of: dict[str, int] = {}
    group_of: dict[str, tuple[str, str]] = {}
    for line, cells in rows:
        if len(cells) != len(names):
            raise ValueError(f"{path} line {line}: has {len(cells)} columns, the header has {len(names)}")
        query, kind = cells[query_at], cells[kind_at].strip()
        if query in line_of:
            raise ValueError(f"{path} line {line}: query {query!r} stands on line {line_of[query]} already")
        _check(kind, query, truth, f"{path} line {line}")
        line_of[query] = line
        group_of[query] = (kind, "" if family_at is None else cells[family_at].strip())
    unsaid = [query for query, _ in truth.pairs if query not in group_of]
    if unsaid:
        raise ValueError(
            f"{path}: says no kind of query {unsaid[0]!r}, which has a match in {truth.name} "
            f"({len(set(unsaid))} such); name every query"
        )
    return QueryKinds(group_of=group_of, name=os.fspath(path))


def _check(kind: str, query: str, truth: Truth, where: str) -> None:
    if not kind:
        raise ValueError(f"{where}: query {query!r} has no kind")
    has_match = query in truth.matched_queries
    if has_match != (kind == COPY_KIND):
        said = "has a match" if has_match else "has no match"
        raise ValueError(
            f"{where}: query {query!r} is of kind {kind!r} but {said} in {truth.name}; "
            f"queries with a match are of kind {COPY_KIND!r}, and no others"
        )
    if truth.distractors and not has_match and query not in truth.distractors:
        raise ValueError(f"{where}: query {query!r} is unknown to {truth.name}; give the truth of this set")
