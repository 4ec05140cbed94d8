"""matches.csv: one row a pair, best score first; of folded views, one row for two pictures.

Numbers are written as Python's repr of a float64, the shortest text that reads back as the same number.
Ids are data: they are quoted where CSV needs it and never changed, so a file name that looks like a
spreadsheet's formula (`=1+1`) stands there as it is; import such a file as text.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import math
import os
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast.files import csv_rows, replacing
from asl_fast.matching.judge import check_pairs, checked_tau, ranks, verdicts
from asl_fast.matching.pictures import PictureRows
from asl_fast.matching.sorted_runs import RUN_PAIRS, SortedRuns
from asl_fast.records import COPY, ORIGINAL, Described, Matches, Pairs

NUMBERS = ("score", "query_norm", "reference_norm", "ratio")
COLUMNS = ("query_id", "reference_id", *NUMBERS, "verdict")
VIEW_COLUMNS = ("query_view", "reference_view")
_ROWS_AT_ONCE = 2**16  # as text
_NO_ROWS = np.empty(0, np.int64)
_NO_PAIRS = Pairs(query_row_M=_NO_ROWS, ref_row_M=_NO_ROWS, score_M=np.empty(0), ratio_M=np.empty(0))
VERDICTS = {COPY: COPY, ORIGINAL: ORIGINAL}


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a matches.csv came to.

    num_found_Q: matches of each query.  best: the first of them, as many as were asked for.
    """

    num_matches: int
    num_copies: int
    num_found_Q: NDArray[np.int64]
    best: Matches


def write_pairs(
    path: str | os.PathLike[str],
    batches: Iterable[Pairs],
    queries: Described,
    refs: Described,
    tau: ArrayLike = 1.0,
    *,
    num_best: int = 0,
    run_pairs: int = RUN_PAIRS,
) -> Written:
    """Judge pairs of any number and write them, best score first; or leave `path` as it was.

    batches: in any order, but all pairs of a query in one batch. They are sorted on disk, beside `path`, in
    32 bytes a pair; memory is that of SortedRuns.
    queries, refs: both `PictureRows`, or neither; then two more columns say which views matched.
    """
    tau_Q = checked_tau(tau, len(queries))
    num_found_Q = np.zeros(len(queries), np.int64)
    best, num_copies = [_NO_PAIRS], 0
    with (
        replacing(path) as temporary,
        SortedRuns(temporary.parent, ranks(queries.ids), refs.ids, run_pairs) as runs,
        _opened(temporary, with_views=isinstance(queries, PictureRows)) as file,
    ):
        for batch in batches:
            check_pairs(batch, queries, refs)
            num_found_Q += np.bincount(batch.query_row_M, minlength=len(queries))
            runs.add(batch)
        for pairs in runs.merged():
            if (missing := num_best - sum(map(len, best))) > 0:
                best.append(pairs[np.arange(min(missing, len(pairs)))])  # a copy: a view would keep the block
            for first in range(0, len(pairs), _ROWS_AT_ONCE):
                matches = verdicts(pairs[first : first + _ROWS_AT_ONCE], queries, refs, tau_Q)
                _write_rows(file, matches)
                num_copies += matches.verdict_M.count(COPY)
    return Written(
        num_matches=int(num_found_Q.sum()),
        num_copies=num_copies,
        num_found_Q=num_found_Q,
        best=verdicts(Pairs.joined(best), queries, refs, tau_Q),
    )


def write_matches(path: str | os.PathLike[str], matches: Matches) -> None:
    """Write the whole table, or leave `path` as it was."""
    with (
        replacing(path) as temporary,
        _opened(temporary, with_views=matches.query_view_M is not None) as file,
    ):
        _write_rows(file, matches)


@contextlib.contextmanager
def _opened(path: Path, *, with_views: bool) -> Iterator[TextIO]:
    """A table that has its header."""
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(COLUMNS + (VIEW_COLUMNS if with_views else ()))
        yield file


def _write_rows(file: TextIO, matches: Matches) -> None:
    names = COLUMNS if matches.query_view_M is None else COLUMNS + VIEW_COLUMNS
    columns = [getattr(matches, f"{name}_M") for name in names]
    plain = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns]
    writer = csv.writer(file, lineterminator="\n")
    if not any("\r" in identity for ids in columns[:2] for identity in ids):
        writer.writerows(zip(*plain, strict=True))
        return
    # Python before 3.13 leaves a lone CR unquoted, and a reader would take it for the end of the row
    quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    for row in zip(*plain, strict=True):
        (quoting if "\r" in row[0] or "\r" in row[1] else writer).writerow(row)


def read_matches(path: str | os.PathLike[str]) -> Matches:
    """Read matches.csv in the order of its rows. ValueError names file and line of what can't be right.

    Columns are found by the header, other columns are ignored; BOM, CRLF and blank lines are tolerated.
    """
    rows = csv_rows(path)
    line, header = next(rows, (1, []))
    names = [name.strip() for name in header]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ValueError(
            f"{path} line {line}: has no column {', '.join(missing)}; "
            f"matches.csv begins with the line {','.join(COLUMNS)}"
        )
    query_at, reference_at, *number_at, verdict_at = places = [names.index(name) for name in COLUMNS]
    score_at, query_norm_at, reference_norm_at, ratio_at = number_at
    one_copy: dict[str, str] = {}  # an id stands in many rows; keep its text once
    query_id, reference_id, verdicts = [], [], []
    numbers = array("d")
    try:
        for _, cells in rows:
            query_id.append(one_copy.setdefault(cells[query_at], cells[query_at]))
            reference_id.append(one_copy.setdefault(cells[reference_at], cells[reference_at]))
            numbers.append(float(cells[score_at]))
            numbers.append(float(cells[query_norm_at]))
            numbers.append(float(cells[reference_norm_at]))
            numbers.append(float(cells[ratio_at]))
            verdicts.append(VERDICTS[cells[verdict_at]])
            if len(cells) != len(names):
                raise IndexError
    except (ValueError, KeyError, IndexError):
        _complain(path, len(names), places)
        raise
    number_MF = np.array(numbers).reshape(-1, len(NUMBERS))
    if not np.isfinite(number_MF).all():
        _complain(path, len(names), places)
    score_M, query_norm_M, reference_norm_M, ratio_M = np.ascontiguousarray(number_MF.T)
    return Matches(
        query_id_M=query_id,
        reference_id_M=reference_id,
        score_M=score_M,
        query_norm_M=query_norm_M,
        reference_norm_M=reference_norm_M,
        ratio_M=ratio_M,
        verdict_M=verdicts,
    )


def _complain(path: str | os.PathLike[str], width: int, places: list[int]) -> None:
    """Go through a file that was found wrong, row by row, and raise what is wrong with its line."""
    for line, cells in itertools.islice(csv_rows(path), 1, None):
        if len(cells) != width:
            raise ValueError(f"{path} line {line}: has {len(cells)} columns, the header has {width}")
        row = dict(zip(COLUMNS, (cells[place] for place in places), strict=True))
        for name in NUMBERS:
            if not _is_number(row[name]):
                raise ValueError(f"{path} line {line}: {name} must be a finite number, got {row[name]!r}")
        if row["verdict"] not in VERDICTS:
            raise ValueError(
                f"{path} line {line}: verdict must be {COPY} or {ORIGINAL}, got {row['verdict']!r}"
            )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
