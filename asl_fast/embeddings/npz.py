"""NAME.npz: rows, ids, and perhaps paths, norms and meta, as np.savez writes them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.embeddings.rows import (
    Stored,
    check_texts,
    extra_norms,
    line_to_path,
    meta_from_json,
    meta_to_json,
    path_to_line,
)
from asl_fast.errors import InputError
from asl_fast.files import replacing
from asl_fast.records import Embeddings

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
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"{who}: the file is no zip archive; name an array of np.save .npy")
            return _stored(archive, who)
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        # NotImplementedError: zipfile's word for a compression method or version that damage made up
        raise InputError(f"{who}: the file is cut off or broken ({error}); copy or embed it again") from None


def _stored(archive: Any, who: str) -> Stored:
    rows = next((name for name in ROW_NAMES if name in archive), None)
    if rows is None:
        raise InputError(f"{who} has no array named {' or '.join(ROW_NAMES)}, only {sorted(archive)}")
    ids = next((name for name in ID_NAMES if name in archive), None)
    meta = meta_from_json(str(archive["meta"]), f"{who}: meta") if "meta" in archive else {}
    paths = [line_to_path(str(line)) for line in archive["paths"]] if "paths" in archive else None
    return Stored(
        row_ND=archive[rows],
        ids=None if ids is None else [str(identity) for identity in np.atleast_1d(archive[ids])],
        norm_N=archive["norms"] if "norms" in archive else None,  # noqa: SIM401 (no dict)
        path_N=paths,
        fingerprint=meta.get("fingerprint", ""),
    )
