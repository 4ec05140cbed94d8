"""What a benchmark says of itself: truth.csv, queries.csv, references.csv, skipped.csv."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from asl_fast.challenge.photos import Photos
from asl_fast.challenge.plan import Query, Reference

TRUTH = ("query_id", "reference_id")
QUERIES = ("query_id", "kind", "family", "strength", "photo", "match", "looks_like", "chain")
REFERENCES = ("reference_id", "photo", "kind", "left", "top", "width", "height")
SKIPPED = ("photo", "reason")


def write_tables(
    folder: Path,
    photos: Photos,
    references: Sequence[Reference],
    queries: Sequence[Query],
    left_out: Sequence[tuple[str, str]],
) -> None:
    """skipped.csv only where there are such photos. A crop's box is in shares of its photo."""
    name = [file.id for file in photos.files]
    _write(folder / "truth.csv", TRUTH, ((query.id, query.match) for query in queries))
    told = (
        (one.id, one.kind, one.family, one.strength, name[one.photo], one.match, one.looks_like, one.chain)
        for one in queries
    )
    _write(folder / "queries.csv", QUERIES, told)
    of_references = ((one.id, name[one.photo], one.kind, *(one.box or ("",) * 4)) for one in references)
    _write(folder / "references.csv", REFERENCES, of_references)
    if left_out:
        _write(folder / "skipped.csv", SKIPPED, left_out)


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
