"""Lists of image paths: text (one a line), CSV and Parquet (a `path` column and perhaps an `id` column)."""

from __future__ import annotations

import csv
import os
from typing import Any

from asl_fast.errors import InputError

Row = tuple[str, str | None]  # path as written, id or None


def read_list(source: str, who: str) -> list[Row]:
    """Paths of a text file, one a line. Blank lines are left out."""
    try:
        # Names on disk are bytes: surrogateescape carries those that are not UTF-8 through unharmed.
        with open(source, encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = (line.rstrip("\n") for line in file)
            return [(line, None) for line in lines if line.strip()]
    except OSError as error:
        raise InputError(f"{who}: can't be read ({error.strerror}); check the file") from error


def read_csv(source: str, who: str) -> list[Row]:
    """Rows of a CSV file with a header."""
    try:
        with open(source, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            path_column, id_column = _columns(header, who)
            rows: list[Row] = []
            for cells in reader:
                if not any(cells):
                    continue
                if len(cells) < len(header):
                    raise InputError(
                        f"{who}: line {reader.line_num} has {len(cells)} cells "
                        f"but the header has {len(header)}; mend the line"
                    )
                place = f"line {reader.line_num}"
                rows.append(
                    _row(cells[path_column], None if id_column is None else cells[id_column], place, who)
                )
            return rows
    except csv.Error as error:
        raise InputError(f"{who}: is not CSV ({error}); save it as comma-separated text in UTF-8") from error
    except OSError as error:
        raise InputError(f"{who}: can't be read ({error.strerror}); check the file") from error


def read_parquet(source: str, who: str) -> list[Row]:
    """Rows of a Parquet file; only the columns path and id are read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(source) as file:
            header = list(file.schema_arrow.names)
            _, id_column = _columns(header, who)
            names = ["path"] if id_column is None else ["path", "id"]
            table = file.read(columns=names)
    except (pa.ArrowException, OSError) as error:
        first_line = str(error).partition("\n")[0][:200]
        raise InputError(f"{who}: is not a readable Parquet file ({first_line}); write it again") from error
    if table.column("path").type not in _text_types(pa):
        raise InputError(
            f"{who}: column 'path' must hold text, "
            f"it holds {table.column('path').type}; write paths as strings"
        )
    paths = table.column("path").to_pylist()
    ids: list[Any] = [None] * len(paths) if id_column is None else table.column("id").to_pylist()
    return [
        _row(
            os.fsdecode(path) if path is not None else "",
            # A missing id is an empty one, which _row refuses; an absent column is None for every row.
            identity if id_column is None else "" if identity is None else _text(identity),
            f"row {number}",
            who,
        )
        for number, (path, identity) in enumerate(zip(paths, ids, strict=True))
    ]


def _text_types(pa: Any) -> tuple[Any, ...]:
    plain = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
    return (*plain, *(pa.dictionary(pa.int32(), kind) for kind in plain))


def _text(identity: object) -> str:
    return os.fsdecode(identity) if isinstance(identity, bytes) else str(identity)


def _columns(header: list[str], who: str) -> tuple[int, int | None]:
    if "path" not in header:
        shown = ", ".join(repr(name) for name in header[:20]) or "none"
        raise InputError(
            f"{who}: must have a column named 'path', its columns are {shown}; rename the column"
        )
    return header.index("path"), header.index("id") if "id" in header else None


def _row(path: str, identity: str | None, place: str, who: str) -> Row:
    if not path.strip():
        raise InputError(f"{who}: {place} has an empty path; fill it in or drop the row")
    if identity is not None and not identity.strip():
        raise InputError(f"{who}: {place} has an empty id; fill it in or drop the id column")
    return path, identity
