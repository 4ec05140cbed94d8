"""What was said: matches.csv, or anybody's `query_id,reference_id,score`. Ten million rows are fine."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from asl_fast.files import csv_rows
from asl_fast.records import COPY, ORIGINAL, Matches
from asl_fast.reports import metrics
from asl_fast.reports.challenge_json import is_json, read_json_columns
from asl_fast.reports.truth import Truth

PLAIN = ("query_id", "reference_id", "score")
JUDGED = ("ratio", "verdict")
NUMBERS = frozenset({"score", "ratio"})


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """P pairs. query_P and reference_P are places in the lists of distinct ids.

    ratio_P and is_copy_P are None where the predictions carry no ratio and verdict.
    """

    query_ids: list[str]
    reference_ids: list[str]
    query_P: NDArray[np.int64]
    reference_P: NDArray[np.int64]
    score_P: NDArray[np.float64]
    ratio_P: NDArray[np.float64] | None = None
    is_copy_P: NDArray[np.bool_] | None = None
    name: str = "predictions"

    def __len__(self) -> int:
        return len(self.score_P)

    @property
    def pair_P(self) -> NDArray[np.int64]:
        """One number for each (query, reference)."""
        return self.query_P * max(1, len(self.reference_ids)) + self.reference_P

    def __getitem__(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Predictions:
        """Some of the pairs; the lists of ids stay as they are."""
        return replace(
            self,
            query_P=self.query_P[which],
            reference_P=self.reference_P[which],
            score_P=self.score_P[which],
            ratio_P=None if self.ratio_P is None else self.ratio_P[which],
            is_copy_P=None if self.is_copy_P is None else self.is_copy_P[which],
        )

    def of_queries(self, is_wanted: Callable[[str], bool]) -> Predictions:
        """The predictions of some queries."""
        wanted_Q = np.array([is_wanted(query) for query in self.query_ids], dtype=bool)
        return self if wanted_Q.all() else self[wanted_Q[self.query_P]]

    def best(self, num_pairs: int, truth: Truth) -> Predictions:
        """The best of all queries together; among ties at the cut wrong pairs come first."""
        if len(self) <= num_pairs:
            return self
        return self[metrics.worst_case_order(self.score_P, self.are_right(truth))[:num_pairs]]

    def are_right(self, truth: Truth) -> NDArray[np.bool_]:
        """Which predictions stand in the ground truth; ids that were never predicted match nothing."""
        query_at = {identity: place for place, identity in enumerate(self.query_ids)}
        reference_at = {identity: place for place, identity in enumerate(self.reference_ids)}
        known = [
            query_at[query_id] * len(self.reference_ids) + reference_at[reference_id]
            for query_id, reference_id in truth.pairs
            if query_id in query_at and reference_id in reference_at
        ]
        known_T = np.unique(np.array([-1, *known], dtype=np.int64))  # -1: no pair's number
        pair_P = self.pair_P
        return np.asarray(known_T[np.searchsorted(known_T, pair_P, side="right") - 1] == pair_P)


def predictions_of(matches: Matches) -> Predictions:
    """Predictions of matches that are at hand. ValueError names a pair that stands twice."""
    query_ids, query_P = _numbered(matches.query_id_M)
    reference_ids, reference_P = _numbered(matches.reference_id_M)
    made = Predictions(
        query_ids=query_ids,
        reference_ids=reference_ids,
        query_P=query_P,
        reference_P=reference_P,
        score_P=matches.score_M,
        ratio_P=matches.ratio_M,
        is_copy_P=np.array([verdict == COPY for verdict in matches.verdict_M], dtype=bool),
        name="matches",
    )
    repeat = metrics.first_repeat(made.pair_P)
    if repeat is not None:
        pair = matches.query_id_M[repeat], matches.reference_id_M[repeat]
        raise ValueError(f"matches: row {repeat} predicts {pair} again; a pair must stand there once")
    return made


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
    """Read matches.csv, a CSV of query_id,reference_id,score (header optional), or CopyNCE's JSON.

    ValueError names file and line of a bad number, an unknown verdict, a missing column, or a pair that
    stands twice.
    """
    if is_json(path):
        return _read_json(path)
    first_line, header, names = _columns(path)
    wanted = [*PLAIN, *(name for name in JUDGED if name in names)]
    table = _read_table(path, first_line, header, names, wanted)
    query_ids, query_P = _coded(table["query_id"])
    reference_ids, reference_P = _coded(table["reference_id"])
    ratio_P = table["ratio"].to_numpy() if "ratio" in wanted else None
    is_copy_P, verdicts_known = None, True
    if "verdict" in wanted:
        verdicts, verdict_P = _coded(table["verdict"])
        is_copy_P = np.array([verdict == COPY for verdict in verdicts], dtype=bool)[verdict_P]
        verdicts_known = set(verdicts) <= {COPY, ORIGINAL}
    made = Predictions(
        query_ids=query_ids,
        reference_ids=reference_ids,
        query_P=query_P,
        reference_P=reference_P,
        score_P=table["score"].to_numpy(),
        ratio_P=ratio_P,
        is_copy_P=is_copy_P,
        name=os.fspath(path),
    )
    numbers_fine = np.isfinite(made.score_P).all() and (ratio_P is None or np.isfinite(ratio_P).all())
    if not (numbers_fine and verdicts_known) or metrics.first_repeat(made.pair_P) is not None:
        _complain(path, names, wanted, "bad numbers or verdicts, or a pair that stands twice")
    return made


def _read_json(path: str | os.PathLike[str]) -> Predictions:
    query_ids, reference_ids, query_P, reference_P, score_P = read_json_columns(path)
    return Predictions(
        query_ids=query_ids,
        reference_ids=reference_ids,
        query_P=query_P,
        reference_P=reference_P,
        score_P=score_P,
        name=os.fspath(path),
    )


def line_of_query(path: str | os.PathLike[str], query_id: str) -> str:
    """File and line where predictions of a query first stand."""
    if not is_json(path):
        _, header, names = _columns(path)
        query_at = names.index("query_id")
        for line, cells in itertools.islice(csv_rows(path), int(header), None):
            if cells[query_at] == query_id:
                return f"{path} line {line}"
    return os.fspath(path)


def _read_table(
    path: str | os.PathLike[str], first_line: int, header: bool, names: list[str], wanted: list[str]
) -> Any:
    """The wanted columns as a pyarrow table, ids and verdicts as dictionaries."""
    import pyarrow as pa
    from pyarrow import csv

    text = pa.dictionary(pa.int32(), pa.string())
    types = {name: pa.float64() if name in NUMBERS else text for name in wanted}
    try:
        return csv.read_csv(
            path,
            read_options=csv.ReadOptions(
                column_names=names,
                skip_rows=first_line - 1,
                skip_rows_after_names=int(header),
                block_size=1 << 24,
            ),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=types, include_columns=wanted, null_values=[], strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        _complain(path, names, wanted, str(error))


def _columns(path: str | os.PathLike[str]) -> tuple[int, bool, list[str]]:
    """The line of the first row, whether that is a header, and the names of the columns."""
    line, cells = next(csv_rows(path), (1, []))
    names = [cell.strip().lower() for cell in cells]
    if {"query_id", "reference_id"} & set(names):
        missing = [name for name in PLAIN if name not in names]
        if missing:
            raise ValueError(
                f"{path} line {line}: has no column {', '.join(missing)} (needs {', '.join(PLAIN)})"
            )
        return line, True, names
    if not cells:
        raise ValueError(f"{path}: is empty; predictions are rows of {','.join(PLAIN)}")
    if len(cells) != len(PLAIN):
        raise ValueError(
            f"{path} line {line}: has {len(cells)} columns and no header; they must be {','.join(PLAIN)}"
        )
    return line, False, list(PLAIN)


def _complain(path: str | os.PathLike[str], names: list[str], wanted: list[str], reason: str) -> NoReturn:
    """Go through a file that was found wrong, row by row, and raise what is wrong with its line."""
    line_of: dict[tuple[str, str], int] = {}
    _, header, _ = _columns(path)
    for line, cells in itertools.islice(csv_rows(path), int(header), None):
        if len(cells) != len(names):
            raise ValueError(f"{path} line {line}: has {len(cells)} columns, expected {len(names)}")
        row = dict(zip(names, cells, strict=True))
        for name in NUMBERS.intersection(wanted):
            if not _is_number(row[name]):
                raise ValueError(f"{path} line {line}: {name} must be a finite number, got {row[name]!r}")
        if "verdict" in wanted and row["verdict"] not in (COPY, ORIGINAL):
            raise ValueError(
                f"{path} line {line}: verdict must be {COPY} or {ORIGINAL}, got {row['verdict']!r}"
            )
        pair = (row["query_id"], row["reference_id"])
        if pair in line_of:
            raise ValueError(
                f"{path} line {line}: predicts query {pair[0]!r}, reference {pair[1]!r} again "
                f"(first on line {line_of[pair]}); keep one prediction a pair"
            )
        line_of[pair] = line
    raise ValueError(f"{path}: can't be read as predictions ({reason})")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def _coded(column: Any) -> tuple[list[str], NDArray[np.int64]]:
    """Distinct values and places of a dictionary column that was read in chunks."""
    whole = column.combine_chunks()
    if not len(whole):
        return [], np.zeros(0, dtype=np.int64)
    return whole.dictionary.to_pylist(), whole.indices.to_numpy().astype(np.int64)


def _numbered(ids: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    place_of: dict[str, int] = {}
    place_P = np.array([place_of.setdefault(name, len(place_of)) for name in ids], dtype=np.int64)
    return list(place_of), place_P
