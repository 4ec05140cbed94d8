"""What is so: the ground truth CSV `query_id,reference_id`, as people have it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

from asl_fast.files import csv_rows
from asl_fast.reports.challenge_json import is_json, read_json_truth


@dataclass(frozen=True, kw_only=True)
class Truth:
    """pairs: every (query id, reference id) that is a match. distractors: queries that have none.

    lines: where each pair stands in the file, () where that is not known.
    """

    pairs: tuple[tuple[str, str], ...]
    distractors: frozenset[str] = frozenset()
    name: str = "truth"
    lines: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.pairs:
            raise ValueError(
                f"{self.name}: holds no match at all (every reference is empty); nothing to measure"
            )
        if len(set(self.pairs)) != len(self.pairs):
            raise ValueError(f"{self.name}: a pair stands twice; every match must stand there once")

    @cached_property
    def matched_queries(self) -> frozenset[str]:
        return frozenset(query_id for query_id, _ in self.pairs)

    def where(self, place: int) -> str:
        """File and line of a pair."""
        return f"{self.name} line {self.lines[place]}" if self.lines else self.name


def read_truth(path: str | os.PathLike[str]) -> Truth:
    """Read `query_id,reference_id`: header optional, an empty reference means that the query has no match,
    several references of a query are several rows; or CopyNCE's JSON. ValueError names file and line."""
    if is_json(path):
        pairs, distractors = read_json_truth(path)
        return Truth(pairs=tuple(pairs), distractors=distractors, name=os.fspath(path))
    return _read_csv(path)


def _read_csv(path: str | os.PathLike[str]) -> Truth:
    query_at, reference_at, width = 0, 1, 2
    line_of: dict[tuple[str, str], int] = {}
    matched: set[str] = set()
    distractors: set[str] = set()
    for place, (line, cells) in enumerate(csv_rows(path)):
        if place == 0 and (columns := _header(cells)):
            query_at, reference_at, width = *columns, len(cells)
            continue
        if len(cells) != width:
            raise ValueError(
                f"{path} line {line}: has {len(cells)} columns, expected {width} "
                "(query_id,reference_id; a query without a match ends in a comma)"
            )
        pair = (cells[query_at], cells[reference_at])
        if not pair[0]:
            raise ValueError(f"{path} line {line}: the query id is empty")
        if pair in line_of:
            raise ValueError(f"{path} line {line}: repeats line {line_of[pair]} ({_show(pair)})")
        if pair[0] in (distractors if pair[1] else matched):
            raise ValueError(
                f"{path} line {line}: query {pair[0]!r} stands both with and without a reference"
            )
        line_of[pair] = line
        (matched if pair[1] else distractors).add(pair[0])
    pairs = tuple(pair for pair in line_of if pair[1])
    lines = tuple(line for pair, line in line_of.items() if pair[1])
    return Truth(pairs=pairs, distractors=frozenset(distractors), name=os.fspath(path), lines=lines)


def _header(cells: list[str]) -> tuple[int, int] | None:
    names = [cell.strip().lower() for cell in cells]
    if "query_id" in names and "reference_id" in names:
        return names.index("query_id"), names.index("reference_id")
    return None


def _show(pair: tuple[str, str]) -> str:
    return f"query {pair[0]!r}, reference {pair[1]!r}"
