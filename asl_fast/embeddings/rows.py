"""What every format shares: rows, ids and paths as lines of text, a few words on their making."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.errors import InputError
from asl_fast.records import ROW_TYPES, Embeddings, norms

FORMAT, VERSION = "asl_fast embeddings", 1
_NOT_ON_A_LINE = re.compile("[\n\r\0\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What a file holds, before any of it is checked. row_ND: of any floating type.

    norms_fingerprint: None where the file doesn't say, "" where it says that it isn't known.
    """

    row_ND: NDArray[Any]
    ids: Sequence[str] | None = None
    norm_N: NDArray[Any] | None = None
    path_N: Sequence[str] | None = None
    fingerprint: str = ""
    norms_fingerprint: str | None = None


def as_rows(row_ND: NDArray[Any], who: str) -> NDArray[Any]:
    """Rows as the search takes them, where they lie: only another byte order is copied.

    row_ND: 2-D. InputError for types other than float16, float32 and float64, and for Fortran order.
    """
    if row_ND.dtype.newbyteorder("=") not in ROW_TYPES:
        raise InputError(
            f"{who}: rows must be float32 (or float16, float64), got {row_ND.dtype}; "
            "store the raw rows of the model"
        )
    if row_ND.flags.f_contiguous and not row_ND.flags.c_contiguous:
        raise InputError(
            f"{who}: rows lie in Fortran order (column by column); store them row by row with "
            "np.save(path, np.ascontiguousarray(rows))"
        )
    return np.ascontiguousarray(row_ND, dtype=row_ND.dtype.newbyteorder("="))


def check_texts(texts: Sequence[str], what: str, who: str) -> None:
    """ValueError for a text that could not be read back from a file of lines."""
    joined = "".join(texts)
    if not (_NOT_ON_A_LINE.search(joined)):
        return
    bad = next(text for text in texts if _NOT_ON_A_LINE.search(text))
    raise ValueError(
        f"{who}: {what} {bad!r} holds a line end, a zero byte or half a character; ids are stored one a line"
    )


def path_to_line(path: str) -> str:
    """A path as one line of valid text: itself, or JSON where it has line ends or bytes that are no text."""
    return json.dumps(path) if path.startswith('"') or _NOT_ON_A_LINE.search(path) else path


def line_to_path(line: str) -> str:
    """The path that `path_to_line` wrote."""
    if not line.startswith('"'):
        return line
    try:
        path = json.loads(line)
    except ValueError:
        return line
    return path if isinstance(path, str) else line


def extra_norms(embeddings: Embeddings) -> NDArray[np.float64] | None:
    """Norms that are not those of the rows (another network's), which a file must hold apart; else None."""
    same = np.array_equal(embeddings.norm_N, norms(embeddings.row_ND))
    return None if same else embeddings.norm_N


def meta_to_json(embeddings: Embeddings, made_by: Mapping[str, str | int], **more: str) -> str:
    """A few words on how the rows were made, for every format."""
    shape = {"num_rows": len(embeddings), "num_dims": embeddings.num_dims}
    fields = {"format": FORMAT, "version": VERSION, "fingerprint": embeddings.fingerprint, **shape}
    if embeddings.norms_fingerprint != embeddings.fingerprint:
        fields["norms_fingerprint"] = embeddings.norms_fingerprint
    return json.dumps({**fields, **made_by, **more}, indent=2) + "\n"


def whose(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What `Stored` is told of the models behind rows and norms; no meta: nothing is known."""
    return {
        "fingerprint": meta.get("fingerprint", ""),
        "norms_fingerprint": meta.get("norms_fingerprint"),
    }


def meta_from_json(text: str | bytes, who: str) -> dict[str, Any]:
    """What `meta_to_json` wrote. InputError, beginning with `who`, for anything else."""
    try:
        meta = json.loads(text)
    except (ValueError, TypeError, RecursionError):  # TypeError: an array where a text should be
        raise InputError(f"{who} is not JSON; embed again, or remove it") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT or meta.get("version") != VERSION:
        raise InputError(
            f'{who} is not of format "{FORMAT}", version {VERSION}; update asl_fast or remove it'
        )
    if not isinstance(meta.get("fingerprint"), str):
        raise InputError(f'{who} lacks "fingerprint", a text; embed again, or remove it')
    if not isinstance(meta.get("norms_fingerprint", ""), str):
        raise InputError(f'{who}: "norms_fingerprint" must be a text; embed again, or remove it')
    return meta
