"""A file of embeddings, by its ending."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asl_fast.embeddings import hdf5, npy, npz, parquet, torch_files
from asl_fast.embeddings.rows import Stored, as_rows
from asl_fast.errors import InputError
from asl_fast.files import check_writable
from asl_fast.records import Embeddings

SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".parquet")
READ_SUFFIXES = (*SUFFIXES, ".pt", ".pth")  # the last two are others' and never written


def check_suffix(path: str | os.PathLike[str], argument: str, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """InputError if no format of embeddings ends so."""
    suffix = Path(path).suffix
    if suffix not in suffixes:
        what = f"ends in {suffix!r}" if suffix else "has no ending"
        raise InputError(f"{argument} {os.fspath(path)} {what}; embeddings are {', '.join(suffixes)}")


def holds_embeddings(path: str | os.PathLike[str]) -> bool:
    """True for a file of embeddings, False for pictures: a folder, a list, shards, or a table of paths."""
    place = Path(path)
    if place.suffix != ".parquet" or not place.is_file():
        return place.suffix in READ_SUFFIXES and not place.is_dir()
    return parquet.has_rows(place)


def check_out(out: str | os.PathLike[str], argument: str = "--out") -> None:
    """InputError if embeddings can't be written there: unknown ending, a folder, a place that is closed."""
    check_suffix(out, argument)
    check_writable(out, argument)


def write_embeddings(
    path: str | os.PathLike[str], embeddings: Embeddings, *, made_by: Mapping[str, str | int] | None = None
) -> list[Path]:
    """Write in the format of the ending, whole or not at all; return the files, the one of this name last.

    made_by: a few more words for the file's metadata, such as the model's name.
    """
    check_suffix(path, "embeddings file")
    place, words = Path(path), made_by or {}
    if place.suffix == ".npy":
        return npy.write(place, embeddings, words)
    if place.suffix == ".npz":
        return npz.write(place, embeddings, words)
    if place.suffix == ".parquet":
        return parquet.write(place, embeddings, words)
    return hdf5.write(place, embeddings, words)


def read_embeddings(
    path: str | os.PathLike[str],
    *,
    norms_path: str | os.PathLike[str] | None = None,
    ids_path: str | os.PathLike[str] | None = None,
    side: str | None = None,
) -> Embeddings:
    """The rows of a file, checked, with their ids; ids are row numbers where no list is there.

    Rows stay float16, float32 or float64, and those of an .npy are mapped.

    norms_path: norms of another network for the same images: an .npy of shape (N,), or embeddings of any
    format, whose row norms (or `norms`) are taken by id. ids_path: a text file, one id a line, or a .csv
    with a column uuid (CopyNCE's), in place of the file's own. side: "queries" or "refs" of a file of both.
    InputError, one line, for whatever cannot be used.
    """
    who = os.fspath(path)
    stored = _read_stored(Path(path), who, None if ids_path is None else Path(ids_path), side)
    if stored.row_ND.ndim != 2:
        raise InputError(
            f"{who}: rows must have shape (N, D), got {stored.row_ND.shape}; store one row an image"
        )
    if stored.row_ND.size == 0:
        raise InputError(f"{who}: holds no rows (shape {stored.row_ND.shape}); embed at least one image")
    if ids_path is None:
        ids = stored.ids
    else:
        ids = npy.read_ids(Path(ids_path))
        if len(ids) != len(stored.row_ND):
            raise InputError(
                f"{who} has {len(stored.row_ND)} rows but {os.fspath(ids_path)} has {len(ids)} ids; "
                "there must be one id for each row"
            )
    if ids is None:
        ids = [str(row) for row in range(len(stored.row_ND))]
    row_ND = as_rows(stored.row_ND, who)
    if stored.norm_N is not None and stored.norm_N.dtype.kind != "f":
        raise InputError(f"{who}: norms must be a floating type, got {stored.norm_N.dtype}")
    norm_N = None if stored.norm_N is None else np.asarray(stored.norm_N, dtype=np.float64)
    norms_fingerprint = stored.norms_fingerprint
    if norms_fingerprint is None and stored.norm_N is not None:
        norms_fingerprint = ""
    if norms_path is not None:
        norm_N, norms_fingerprint = _other_norms(Path(norms_path), ids, who, side)
    try:
        return Embeddings(
            ids=ids,
            row_ND=row_ND,
            norm_N=norm_N,  # type: ignore[arg-type]
            path_N=stored.path_N,
            fingerprint=stored.fingerprint,
            norms_fingerprint=norms_fingerprint,  # type: ignore[arg-type]
            name=who,
        )
    except ValueError as error:
        raise InputError(str(error)) from None


def _read_stored(path: Path, who: str, ids_path: Path | None, side: str | None) -> Stored:
    if side not in (None, "queries", "refs"):
        raise ValueError(f"read_embeddings: side must be 'queries' or 'refs', got {side!r}")
    check_suffix(path, "embeddings file", READ_SUFFIXES)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise InputError(f"{who} {what}; give a file that embed wrote")
    if path.suffix == ".npy":
        return npy.read(path, who, ids_path)
    if path.suffix == ".npz":
        return npz.read(path, who)
    if path.suffix == ".parquet":
        return parquet.read(path, who)
    if path.suffix in (".pt", ".pth"):
        return torch_files.read(path, who, side)
    return hdf5.read(path, who, side)


def _other_norms(
    path: Path, ids: Sequence[str], who: str, side: str | None
) -> tuple[NDArray[np.float64], str]:
    """Norms for `ids` from an .npy (N,) or from another file of embeddings, matched by id; their model's
    fingerprint, "" if it isn't known."""
    if path.suffix == ".npy" and path.is_file():
        plain = npy.load_array(path, str(path))
        if plain.ndim == 1:
            return _plain_norms(plain, len(ids), who, path), ""
    other = read_embeddings(path, side=side)
    if list(other.ids) == list(ids):
        return other.norm_N, other.norms_fingerprint
    row_of = {identity: row for row, identity in enumerate(other.ids)}
    missing = [identity for identity in ids if identity not in row_of]
    if missing:
        raise InputError(
            f"{path} has no row for id {missing[0]!r} of {who} ({len(missing)} of {len(ids)} ids missing); "
            "embed the same images with both models"
        )
    return other.norm_N[[row_of[identity] for identity in ids]], other.norms_fingerprint


def _plain_norms(plain: NDArray[np.generic], num_rows: int, who: str, path: Path) -> NDArray[np.float64]:
    if len(plain) != num_rows:
        raise InputError(
            f"{path} has {len(plain)} norms but {who} has {num_rows} rows; "
            "there must be one norm for each row"
        )
    if plain.dtype.kind != "f":
        raise InputError(f"{path}: norms must be a floating type, got {plain.dtype}")
    return plain.astype(np.float64)
