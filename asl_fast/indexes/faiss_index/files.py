"""A FAISS index as a file, with what FAISS doesn't keep beside it.

    NAME.faiss             the index, of unit rows, largest norm first
    NAME.faiss.json        what it is, and the SHA-256 of the other three
    NAME.faiss.ids.txt     the id of each of its rows, one a line
    NAME.faiss.norms.npy   the norm of each of its rows, float64

A .faiss without the .json is a foreign one: its rows then are the references' in their order, and whatever
norms its rows have are theirs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.errors import InputError
from asl_fast.files import check_writable, replacing
from asl_fast.indexes.faiss_index.kinds import holds_floats, rows_of
from asl_fast.indexes.faiss_index.library import library, words
from asl_fast.records import Embeddings

SUFFIX = ".faiss"
FORMAT, VERSION = "asl_fast faiss", 1
_LINE_ENDS = ("\n", "\r", "\0")
_BLOCK_ROWS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What stands beside a .faiss that asl_fast wrote: ids and norms of its rows, the model's fingerprint."""

    ids: Sequence[str]
    norm_N: NDArray[np.float64]
    fingerprint: str


def check_out(out: str | Path, argument: str = "--out") -> None:
    """InputError, before any work, if a .faiss can't be written there."""
    if Path(out).suffix != SUFFIX:
        raise InputError(f"{argument} {out} must end in {SUFFIX} with --faiss")
    check_writable(out, argument)


def write(
    path: Path, index: Any, factory: str, ids: Sequence[str], norm_N: NDArray[np.float64], fingerprint: str
) -> None:
    """Write the index and what stands beside it; the .json, which makes them a whole, comes last."""
    bad = next((each for each in ids if any(end in each for end in _LINE_ENDS)), None)
    if bad is not None:
        raise InputError(f"{path}: id {bad!r} holds a line end or a zero byte; ids are stored one a line")
    with replacing(path) as temporary:
        library().write_index(index, str(temporary))
    with replacing(_ids(path)) as temporary:
        temporary.write_bytes("".join(f"{each}\n" for each in ids).encode())
    with replacing(_norms(path)) as temporary, open(temporary, "wb") as stream:
        np.save(stream, norm_N)
    meta = {
        "format": FORMAT, "version": VERSION, "factory": factory, "order": "norm, largest first",
        "num_rows": len(ids), "num_dims": index.d, "fingerprint": fingerprint,
        "sha256": {file.name: _sha256(file) for file in (path, _ids(path), _norms(path))},
    }  # fmt: skip
    with replacing(_json(path)) as temporary:
        temporary.write_text(json.dumps(meta, indent=2) + "\n")


def read(path: Path) -> tuple[Any, Beside | None]:
    """The index of a file and what stands beside it, None for a foreign one.

    InputError, one line, for what FAISS can't read, or what is not what was written.
    """
    if not path.is_file():
        raise InputError(f"{path} is no file; give a .faiss that faiss.write_index wrote")
    beside = _beside(path) if _json(path).is_file() else None  # before FAISS meets bytes that have changed
    try:
        with _limited(path.stat().st_size):
            index = library().read_index(str(path))
    except (RuntimeError, MemoryError) as error:
        raise InputError(
            f"{path}: FAISS can't read it ({words(error)}); it is damaged, or no index of float vectors"
        ) from None
    if beside is not None and len(beside.ids) != index.ntotal:
        raise InputError(f"{path} has {index.ntotal} rows but {len(beside.ids)} ids; export it again")
    return index, beside


def rows_back(
    path: str | Path, *, ids_path: str | Path | None = None, lossy: bool = False
) -> Iterator[Embeddings]:
    """The rows of a .faiss in blocks, scaled to their norms where those stand beside it.

    ids_path: ids in place of those beside it, one a line; row numbers where neither is there.
    InputError for codes that hold only an approximation of the rows, unless `lossy`.
    """
    place = Path(path)
    index, beside = read(place)
    if not holds_floats(index) and not lossy:
        raise InputError(
            f"{place} holds codes ({type(index).__name__}), which give back only an approximation of the "
            "rows that went in; say --lossy if that will do"
        )
    ids = _given_ids(Path(ids_path), index.ntotal) if ids_path is not None else None
    if ids is None:
        ids = [str(row) for row in range(index.ntotal)] if beside is None else beside.ids
    for first in range(0, index.ntotal, _BLOCK_ROWS):
        last = min(first + _BLOCK_ROWS, index.ntotal)
        try:
            row_BD = rows_of(index, first, last - first)
        except RuntimeError as error:
            raise InputError(f"{place}: FAISS can't give back its rows ({words(error)})") from None
        norm_B = None
        if beside is not None:
            norm_B = beside.norm_N[first:last]
            own_B = np.linalg.norm(row_BD.astype(np.float64), axis=1)
            row_BD = (row_BD * (norm_B / np.where(own_B > 0, own_B, 1))[:, None]).astype(np.float32)
        yield Embeddings(
            ids=ids[first:last],
            row_ND=row_BD,
            norm_N=norm_B,  # type: ignore[arg-type]
            fingerprint="" if beside is None else beside.fingerprint,
            name=str(place),
        )


def _given_ids(path: Path, num_rows: int) -> Sequence[str]:
    ids = path.read_text(encoding="utf-8-sig").splitlines()
    if len(ids) != num_rows:
        raise InputError(f"{path} has {len(ids)} ids but the index {num_rows} rows; one a line, one a row")
    return ids


def _beside(path: Path) -> Beside:
    file = _json(path)
    try:
        meta = json.loads(file.read_bytes())
        if meta["format"] != FORMAT or meta["version"] != VERSION:
            raise KeyError("format")
        sums, fingerprint = dict(meta["sha256"]), str(meta["fingerprint"])
        wanted = {each: sums[each.name] for each in (_ids(path), _norms(path))} | {path: sums[path.name]}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f'{file} is not of format "{FORMAT}", version {VERSION}, or {path.name} was renamed; export it '
            "again, or remove it to use the index as a foreign one, rows in the order of the references"
        ) from None
    for each, wanted_sum in wanted.items():
        if not each.is_file() or _sha256(each) != wanted_sum:
            what = "is not what was written" if each.is_file() else "is gone"
            raise InputError(f"{each} {what} (SHA-256 in {file.name}); export it again")
    ids = _ids(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return Beside(ids=ids, norm_N=np.load(_norms(path), allow_pickle=False), fingerprint=fingerprint)


@contextmanager
def _limited(num_bytes: int) -> Iterator[None]:
    """FAISS reads no vector larger than the file meanwhile: a damaged length doesn't fill the memory."""
    faiss = library()
    before = faiss.get_deserialization_vector_byte_limit()
    faiss.set_deserialization_vector_byte_limit(max(num_bytes, 1 << 20))
    try:
        yield
    finally:
        faiss.set_deserialization_vector_byte_limit(before)


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _json(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _ids(path: Path) -> Path:
    return path.with_name(f"{path.name}.ids.txt")


def _norms(path: Path) -> Path:
    return path.with_name(f"{path.name}.norms.npy")
