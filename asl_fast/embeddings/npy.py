"""NAME.npy of raw rows, with NAME.ids.txt, NAME.paths.txt and NAME.meta.json beside it.

The rows are mapped, not read, so a file may be larger than memory. The .npy appears last: where it is, its
sidecars are. NAME.meta.json holds checksums, so that sidecars of other rows are noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.embeddings.array_header import LyingHeader, PythonObjects, read_array_header
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
from asl_fast.files import csv_rows, replacing
from asl_fast.records import Embeddings

_BLOCK_BYTES = 1 << 24


def write(path: Path, embeddings: Embeddings, made_by: Mapping[str, str | int]) -> list[Path]:
    """Write the sidecars, then the rows; return the files in the order in which they appeared."""
    if extra_norms(embeddings) is not None:
        raise ValueError(
            f"{path}: .npy holds rows only, not another network's norms; write .npz, .h5 or .parquet, "
            "or keep the norms in a file of their own"
        )
    check_texts(embeddings.ids, "id", str(path))
    sums = {
        "rows_type": embeddings.row_ND.dtype.newbyteorder("<").str,
        "rows_sha256": rows_sha256(embeddings.row_ND),
        "ids_sha256": lines_sha256(embeddings.ids),
    }
    sidecars = {
        path.with_suffix(".ids.txt"): _lines(embeddings.ids),
        path.with_suffix(".meta.json"): meta_to_json(embeddings, made_by, **sums).encode(),
    }
    paths_file = path.with_suffix(".paths.txt")
    if embeddings.path_N is not None:
        sidecars[paths_file] = _lines([path_to_line(place) for place in embeddings.path_N])
    else:
        paths_file.unlink(missing_ok=True)  # those of an earlier file of this name
    for file, data in sidecars.items():
        with replacing(file) as temporary:
            temporary.write_bytes(data)
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        write_rows(stream, embeddings.row_ND)
    return [*sidecars, path]


def write_rows(stream: IO[bytes], row_ND: NDArray[Any]) -> None:
    """The bytes of np.save; unlike it, a full disk raises the system's own error."""
    header = {"descr": row_ND.dtype.newbyteorder("<").str, "fortran_order": False, "shape": row_ND.shape}
    np.lib.format.write_array_header_1_0(stream, header)
    for block in _blocks(row_ND):
        stream.write(block)


def read(path: Path, who: str, ids_path: Path | None) -> Stored:
    row_ND = load_array(path, who)
    ids_file = ids_path
    if ids_file is None:
        beside = [path.with_suffix(".ids.txt"), path.with_suffix(".txt")]
        ids_file = next((file for file in beside if file.is_file()), None)
    ids = None if ids_file is None else read_ids(ids_file)
    paths_file = path.with_suffix(".paths.txt")
    path_N = [line_to_path(line) for line in read_ids(paths_file)] if paths_file.is_file() else None
    meta_file = path.with_suffix(".meta.json")
    meta: dict[str, Any] = {}
    if meta_file.is_file():
        meta = meta_from_json(meta_file.read_bytes(), str(meta_file))
        _check_fresh(meta, path, row_ND, who, meta_file, ids if ids_path is None else None)
    return Stored(row_ND=row_ND, ids=ids, path_N=path_N, **whose(meta))


def load_array(path: Path, who: str) -> NDArray[Any]:
    """The array in an .npy, mapped. InputError where numpy can't or mustn't read it."""
    with open(path, "rb") as stream:
        magic = stream.read(6)
    if magic[:6] != b"\x93NUMPY":
        kind = "a zip archive (name it .npz)" if magic[:4] == b"PK\x03\x04" else "not what np.save writes"
        kind = "empty" if not magic else kind
        raise InputError(f"{who}: the file is {kind}; store the rows with np.save")
    try:
        with open(path, "rb") as stream:
            header = read_array_header(stream)
            header.check_held(path.stat().st_size)
    except PythonObjects as error:
        raise InputError(
            f"{who}: the file holds {error}, which may run code when read; store the rows as float32"
        ) from None
    except LyingHeader as error:
        raise InputError(f"{who}: the file is cut off or broken ({error}); copy or embed it again") from None
    if header.array_bytes == 0:
        raise InputError(f"{who}: holds no rows (shape {header.shape}); embed at least one image")
    loaded: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return loaded.view(np.ndarray)


def read_ids(path: Path) -> list[str]:
    """The lines of a text file: UTF-8, ended by \\n or \\r\\n, perhaps with a byte-order mark; or the column
    `uuid` of a .csv, as CopyNCE lists pictures.
    """
    if path.suffix == ".csv":
        return _uuids(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {error.start} is not UTF-8; an id list is UTF-8 text, one id a line"
        ) from None
    text = text.replace("\r\n", "\n").removesuffix("\n")
    return text.split("\n")


def _uuids(path: Path) -> list[str]:
    rows = csv_rows(path)
    line, header = next(rows, (1, []))
    if "uuid" not in header:
        raise InputError(
            f"{path} line {line}: has no column uuid; ids are a .txt, one a line, or such a .csv"
        )
    at = header.index("uuid")
    for line, cells in (ids := list(rows)):
        if len(cells) != len(header):
            raise InputError(f"{path} line {line}: has {len(cells)} columns, the header has {len(header)}")
    return [cells[at] for _, cells in ids]


def rows_sha256(row_ND: NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for block in _blocks(row_ND):
        digest.update(block)
    return digest.hexdigest()


def _stored_sha256(path: Path) -> str:
    """rows_sha256 of an .npy that `load_array` took, read past the map, whose pages would stay in memory."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        left = read_array_header(stream).array_bytes
        while left and (block := stream.read(min(left, _BLOCK_BYTES))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def lines_sha256(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _lines(texts: Sequence[str]) -> bytes:
    return ("\n".join(texts) + "\n").encode()


def _blocks(row_ND: NDArray[Any]) -> list[memoryview]:
    flat = np.ascontiguousarray(row_ND, dtype=row_ND.dtype.newbyteorder("<")).reshape(-1)
    step = _BLOCK_BYTES // flat.itemsize
    return [flat[start : start + step].data.cast("B") for start in range(0, len(flat), step)]


def _check_fresh(
    meta: dict[str, Any],
    path: Path,
    row_ND: NDArray[Any],
    who: str,
    meta_file: Path,
    ids: Sequence[str] | None,
) -> None:
    """InputError where the sidecars belong to other rows, as after copying only one of the files."""
    if "rows_sha256" in meta:
        same_type = row_ND.dtype.str == meta.get("rows_type", "<f4")  # files of before had only those
        same_type = same_type and row_ND.ndim == 2 and row_ND.flags.c_contiguous
        if not same_type or meta["rows_sha256"] != _stored_sha256(path):
            raise InputError(
                f"{who}: its rows are not those that {meta_file.name} beside it was written for; the ids may "
                f"be others' too; embed again, or remove {meta_file.name} if you are sure"
            )
    if ids is not None and meta.get("ids_sha256", "") not in ("", lines_sha256(ids)):
        raise InputError(
            f"{who}: the id list beside it is not the one of {meta_file.name}; embed again, or "
            f"remove {meta_file.name} if you changed ids on purpose"
        )
