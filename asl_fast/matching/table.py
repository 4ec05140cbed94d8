"""matches.csv: one row a pair, best score first.

Numbers are written as Python's repr of a float64, the shortest text that reads back as the same number.
Ids are data: they are quoted where CSV needs it and never changed, so a file name that looks like a
spreadsheet's formula (`=1+1`) stands there as it is; import such a file as text.
"""

from __future__ import annotations

import csv
import itertools
import math
import os
from array import array

import numpy as np

from asl_fast.files import csv_rows, replacing
from asl_fast.records import COPY, ORIGINAL, Matches

NUMBERS = ("score", "query_norm", "reference_norm", "ratio")
COLUMNS = ("query_id", "reference_id", *NUMBERS, "verdict")
VERDICTS = {COPY: COPY, ORIGINAL: ORIGINAL}


def write_matches(path: str | os.PathLike[str], matches: Matches) -> None:
    """Write the whole table, or leave `path` as it was."""
    columns = [getattr(matches, f"{name}_M") for name in COLUMNS]
    plain = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns]
    # Python before 3.13 leaves a lone CR unquoted, and a reader would take it for the end of the row
    has_cr = any("\r" in identity for ids in columns[:2] for identity in ids)
    with (
        replacing(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.writer(
            file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC if has_cr else csv.QUOTE_MINIMAL
        )
        writer.writerow(COLUMNS)
        writer.writerows(zip(*plain, strict=True))


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
