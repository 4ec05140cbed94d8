"""NAME.npz: rows, ids, and perhaps paths, norms and meta, as np.savez writes them."""

from __future__ import annotations

import errno
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.embeddings.array_header import MOST_TIMES_SMALLER, LyingHeader, read_array_header
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

# NotImplementedError: a compression method or version that damage made up; RuntimeError: encryption.
_BROKEN_ZIP = (
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
ROW_NAMES = ("rows", "vectors", "embeddings", "row_ND")
ID_NAMES = ("ids", "image_names", "names")


def write(path: Path, embeddings: Embeddings, made_by: Mapping[str, str | int]) -> list[Path]:
    check_texts(embeddings.ids, "id", str(path))
    arrays: dict[str, NDArray[Any]] = {
        "rows": embeddings.row_ND,
        "ids": np.array(embeddings.ids, dtype=np.str_),
        "meta": np.array(meta_to_json(embeddings, made_by)),
    }
    norm_N = extra_norms(embeddings)
    if norm_N is not None:
        arrays["norms"] = norm_N
    if embeddings.path_N is not None:
        arrays["paths"] = np.array([path_to_line(place) for place in embeddings.path_N], dtype=np.str_)
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    return [path]


def read(path: Path, who: str) -> Stored:
    try:
        with open(path, "rb") as stream:
            if stream.read(6) == b"\x93NUMPY":
                raise InputError(f"{who}: the file is no zip archive; name an array of np.save .npy")
            with zipfile.ZipFile(stream) as archive:
                return _stored(_Arrays(archive), who)
    except _BROKEN_ZIP as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{who}: the file is cut off or broken ({reason}); copy or embed it again") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # where damage told zipfile to look before the file's beginning
            raise
        raise InputError(
            f"{who}: the file is cut off or broken (its directory points outside); copy or embed it again"
        ) from None


class _Arrays:
    """The arrays of a zip archive by name. A member that is too small for what it tells is refused unread."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __getitem__(self, name: str) -> NDArray[Any]:
        info = self._members[name]
        if info.file_size > MOST_TIMES_SMALLER * info.compress_size:
            raise LyingHeader(f"array {name!r} can't be {info.file_size} bytes long")
        with self._archive.open(info) as member:
            read_array_header(member).check_held(info.file_size)
            member.seek(0)
            values: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
            return values


def _stored(archive: _Arrays, who: str) -> Stored:
    rows = next((name for name in ROW_NAMES if name in archive), None)
    if rows is None:
        raise InputError(f"{who} has no array named {' or '.join(ROW_NAMES)}, only {sorted(archive)}")
    ids = next((name for name in ID_NAMES if name in archive), None)
    meta = meta_from_json(str(archive["meta"]), f"{who}: meta") if "meta" in archive else {}
    return Stored(
        row_ND=archive[rows],
        ids=None if ids is None else _texts(archive[ids]),
        norm_N=archive["norms"] if "norms" in archive else None,  # noqa: SIM401 (no dict)
        path_N=[line_to_path(line) for line in _texts(archive["paths"])] if "paths" in archive else None,
        **whose(meta),
    )


def _texts(values: NDArray[Any]) -> list[str]:
    return [str(value) for value in np.atleast_1d(values)]
