"""NAME.parquet: columns `id`, `embedding` (fixed-size list of float), perhaps `path`, `norm`; checksums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from asl_fast.embeddings.rows import (
    Stored,
    check_texts,
    extra_norms,
    line_to_path,
    meta_from_json,
    meta_to_json,
    path_to_line,
    whose,
)
from asl_fast.errors import InputError
from asl_fast.files import replacing
from asl_fast.records import Embeddings

ROW_NAMES = ("embedding", "vector", "embeddings", "vectors")
ID_NAMES = ("id", "image_id", "ids")
_META_KEY = b"asl_fast"
_DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError)  # what pyarrow says to a broken file
_GROUP_BYTES = 1 << 26


def write(path: Path, embeddings: Embeddings, made_by: Mapping[str, str | int]) -> list[Path]:
    check_texts(embeddings.ids, "id", str(path))
    columns: dict[str, Any] = {"id": pa.array(list(embeddings.ids), pa.string())}
    values = pa.array(np.ascontiguousarray(embeddings.row_ND).reshape(-1))
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(values, embeddings.num_dims)
    norm_N = extra_norms(embeddings)
    if norm_N is not None:
        columns["norm"] = pa.array(norm_N)
    if embeddings.path_N is not None:
        columns["path"] = pa.array([path_to_line(place) for place in embeddings.path_N], pa.string())
    table = pa.table(columns).replace_schema_metadata({_META_KEY: meta_to_json(embeddings, made_by)})
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        pq.write_table(
            table,
            stream,
            row_group_size=max(1, _GROUP_BYTES // (4 * embeddings.num_dims)),
            use_dictionary=False,
            write_page_checksum=True,
        )
    return [path]


def has_rows(path: Path) -> bool:
    """True unless this is readable as a table without a column of rows: then it lists pictures."""
    try:
        names = pq.read_schema(path).names
    except _DAMAGED:
        return True  # `read` will say what is wrong with it
    return any(name in names for name in ROW_NAMES)


def read(path: Path, who: str) -> Stored:
    with open(path, "rb") as stream:
        try:
            return _stored(pq.ParquetFile(stream, page_checksum_verification=True), who)
        except _DAMAGED as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(
                f"{who}: the file is no Parquet, cut off or damaged ({reason}); copy or embed it again"
            ) from None


def _stored(file: Any, who: str) -> Stored:
    names = file.schema_arrow.names
    rows = next((name for name in ROW_NAMES if name in names), None)
    if rows is None:
        raise InputError(f"{who} has no column named {' or '.join(ROW_NAMES)}, only {names}")
    ids = next((name for name in ID_NAMES if name in names), None)
    table = file.read(columns=[name for name in (rows, ids, "norm", "path") if name in names])
    for name in table.column_names:
        if table[name].null_count:
            raise InputError(
                f"{who}: column `{name}` has {table[name].null_count} empty cells; fill or drop them"
            )
    meta_text = (table.schema.metadata or {}).get(_META_KEY)
    meta = {} if meta_text is None else meta_from_json(meta_text, f"{who}: meta")
    return Stored(
        row_ND=_rows(table[rows].combine_chunks(), rows, who),
        ids=None if ids is None else [str(value) for value in table[ids].to_pylist()],
        norm_N=_numbers(table["norm"], who) if "norm" in table.column_names else None,
        path_N=[line_to_path(str(line)) for line in table["path"].to_pylist()] if "path" in names else None,
        **whose(meta),
    )


def _rows(column: Any, name: str, who: str) -> NDArray[Any]:
    """(N, D) values of a list column whose lists all have one length."""
    column = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    kind = column.type
    if not (pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        raise InputError(f"{who}: column `{name}` must hold lists of float, got {kind}")
    if not pa.types.is_floating(kind.value_type):
        raise InputError(f"{who}: column `{name}` must hold lists of float, got lists of {kind.value_type}")
    values = column.flatten()
    if values.null_count:
        raise InputError(f"{who}: column `{name}` has lists with {values.null_count} empty cells; fill them")
    if len(column) == 0:
        return np.empty((0, 0), np.float32)
    if pa.types.is_fixed_size_list(kind):
        num_dims = kind.list_size
    else:
        length_N = np.asarray(column.value_lengths())
        num_dims = int(length_N[0])
        if (length_N != num_dims).any():
            row = int(np.argmax(length_N != num_dims))
            raise InputError(
                f"{who}: lists in column `{name}` must have one length; row 0 has {num_dims} values, "
                f"row {row} has {length_N[row]}"
            )
    value_ND: NDArray[Any] = values.to_numpy(zero_copy_only=False).reshape(len(column), num_dims)
    return value_ND


def _numbers(column: Any, who: str) -> NDArray[Any]:
    if not pa.types.is_floating(column.type):
        raise InputError(f"{who}: column `norm` must hold numbers, got {column.type}")
    values: NDArray[Any] = column.to_numpy()
    return values
