"""HDF5 as the field has it: shards (`vectors`, `image_names`), or one file for both sides (`query`,
`query_ids`, `reference`, `reference_ids`). Ours adds optional float32 `norms`, and checksums (Fletcher32).

Damage is refused in one line. Types are looked at before values are read: HDF5 crashes on odd ones.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from asl_fast.embeddings.array_header import MOST_TIMES_SMALLER
from asl_fast.embeddings.hdf5_heaps import broken_heap
from asl_fast.embeddings.hdf5_texts import varying_texts
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

SIDES = {"queries": "query", "refs": "reference"}
# What h5py says to a file whose parts don't fit together.
_DAMAGED = (IndexError, KeyError, NotImplementedError, OverflowError, RuntimeError, TypeError, ValueError)
_CHUNK_BYTES = 1 << 18
_SPARSE_BYTES = 1 << 20


def write(path: Path, embeddings: Embeddings, made_by: Mapping[str, str | int]) -> list[Path]:
    """The shard form."""
    with replacing(path) as temporary, _hdf5_file(temporary) as file:
        _put(file, embeddings, made_by, {"rows": "vectors", "ids": "image_names"}, "")
    return [path]


def write_pair(path: Path, *, queries: Embeddings, refs: Embeddings) -> list[Path]:
    """The single-file form: both sides in one file."""
    with replacing(path) as temporary, _hdf5_file(temporary) as file:
        for side, embeddings in (("query", queries), ("reference", refs)):
            _put(file, embeddings, {}, {"rows": side, "ids": f"{side}_ids"}, f"{side}_")
    return [path]


def read(path: Path, who: str, side: str | None) -> Stored:
    """side: "queries" or "refs" of the single-file form; a shard has no sides."""
    broken = broken_heap(path)
    if broken is not None:
        raise InputError(f"{who}: the file is damaged (the texts at byte {broken}); copy or embed it again")
    try:
        with h5py.File(path, "r") as file:
            return _stored(file, path, who, side)
    except OSError as error:
        if error.errno is not None:
            raise
        reason = str(error).split("(", 1)[-1].rstrip(")")
        raise InputError(
            f"{who}: the file is no HDF5, cut off or damaged ({reason}); copy or embed it again"
        ) from None
    except _DAMAGED as error:
        raise InputError(f"{who}: the file is damaged ({error}); copy or embed it again") from None


def _put(
    file: Any, embeddings: Embeddings, made_by: Mapping[str, str | int], names: Mapping[str, str], prefix: str
) -> None:
    check_texts(embeddings.ids, "id", embeddings.name)
    row_bytes = 4 * embeddings.num_dims
    chunk = (min(len(embeddings), max(1, _CHUNK_BYTES // row_bytes)), embeddings.num_dims)
    file.create_dataset(names["rows"], data=embeddings.row_ND, chunks=chunk, fletcher32=True)
    _put_texts(file, names["ids"], embeddings.ids)
    norm_N = extra_norms(embeddings)
    if norm_N is not None:
        file.create_dataset(f"{prefix}norms", data=norm_N.astype(np.float32), fletcher32=True)
    if embeddings.path_N is not None:
        _put_texts(file, f"{prefix}paths", [path_to_line(place) for place in embeddings.path_N])
    file.attrs[f"{prefix}meta"] = np.bytes_(meta_to_json(embeddings, made_by).encode())


def _put_texts(file: Any, name: str, texts: Sequence[str]) -> None:
    """Texts of one length, so that the checksum covers them; of their own lengths where that wastes space."""
    encoded = [text.encode() for text in texts]
    longest = max(1, max(map(len, encoded)))
    sparse = longest * len(encoded) > 4 * sum(map(len, encoded)) + _SPARSE_BYTES
    if sparse:
        file.create_dataset(name, data=encoded, dtype=h5py.string_dtype("utf-8"))  # takes no checksum
    else:
        kind = h5py.string_dtype("utf-8", longest)
        file.create_dataset(name, data=np.array(encoded, dtype=kind), fletcher32=True)


def _stored(file: Any, path: Path, who: str, side: str | None) -> Stored:
    if "vectors" in file:
        names, prefix = ("vectors", "image_names"), ""
    else:
        there = [key for key in SIDES.values() if key in file]
        if not there:
            raise InputError(
                f"{who} has neither `vectors` nor `query` and `reference`, only {sorted(file)}; "
                "those are the names of the rows"
            )
        if side is None and len(there) == 2:
            raise InputError(f"{who} holds queries and references; say which: side='queries' or side='refs'")
        key = there[0] if side is None else SIDES[side]
        if key not in there:
            raise InputError(f"{who} has no `{key}`, only `{there[0]}`; give the file with the {side}")
        names, prefix = (key, f"{key}_ids"), f"{key}_"
    paths = _texts(file, f"{prefix}paths", path, who)
    norms = f"{prefix}norms"
    return Stored(
        row_ND=_floats(file, names[0], who),
        ids=_texts(file, names[1], path, who),
        norm_N=np.asarray(_floats(file, norms, who)) if norms in file else None,
        path_N=None if paths is None else [line_to_path(line) for line in paths],
        **whose(_meta(file, f"{prefix}meta", who)),
    )


def _meta(file: Any, name: str, who: str) -> dict[str, Any]:
    """The words that `write` leaves beside the rows; nothing where there are none."""
    if name not in file.attrs:
        return {}
    kind = file.attrs.get_id(name).dtype
    if kind.kind != "S":
        raise InputError(f"{who}: {name} is not what embed writes, but {kind}; embed again, or remove it")
    return meta_from_json(file.attrs[name], f"{who}: meta")


def _dataset(file: Any, name: str, who: str) -> Any:
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{who}: `{name}` must be a dataset, not a group")
    return found


def _floats(file: Any, name: str, who: str) -> Any:
    dataset = _dataset(file, name, who)
    if dataset.dtype.kind != "f":
        raise InputError(f"{who}: `{name}` must be float32, got {dataset.dtype}")
    return _values(dataset, who)


def _values(dataset: Any, who: str) -> Any:
    """All values, checked to be there and to have room for a checksum."""
    _check_held(dataset, who)
    if dataset.fletcher32:
        dataset.id.chunk_iter(_check_room_for_checksum)
    return dataset[()]


def _check_held(dataset: Any, who: str) -> None:
    """InputError for a dataset that tells of far more than the file holds."""
    held = min(dataset.id.get_storage_size(), dataset.file.id.get_filesize())
    if (dataset.nbytes or 0) > _SPARSE_BYTES + MOST_TIMES_SMALLER * held:
        raise InputError(
            f"{who}: `{dataset.name}` tells of {dataset.nbytes} bytes, shape {dataset.shape}, but the "
            f"file holds {held} of it; embed it again"
        )


def _check_room_for_checksum(chunk: Any) -> None:
    """HDF5 crashes on a chunk that is shorter than its checksum."""
    if chunk.size <= 4:
        raise ValueError(f"the chunk at {chunk.chunk_offset} has {chunk.size} bytes")


def _texts(file: Any, name: str, path: Path, who: str) -> list[str] | None:
    if name not in file:
        return None
    dataset = _dataset(file, name, who)
    if dataset.ndim > 1 or not (dataset.dtype.kind in "Siuf" or h5py.check_string_dtype(dataset.dtype)):
        raise InputError(f"{who}: `{name}` must be one text a row, got {dataset.dtype} {dataset.shape}")
    _check_held(dataset, who)
    if dataset.dtype.kind == "O":
        values: list[Any] = varying_texts(path, name, who)
    else:
        values = np.atleast_1d(_values(dataset, who)).tolist()
    try:
        return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    except UnicodeDecodeError:
        raise InputError(f"{who}: `{name}` holds text that is not UTF-8") from None


class _PatientFile(io.FileIO):
    """A file whose writes never fail for HDF5, which crashes the process while it cleans up after a full
    disk. The first error is kept; whoever opened the file raises it and drops what was written.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        length = len(left)
        while left and self.error is None:
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self.error = error
        return length

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return self.tell() if size is None else size

    def readinto(self, buffer: Any) -> int:
        space = memoryview(buffer).cast("B")
        length = super().readinto(space) or 0
        if self.error is not None:  # what should be here was not written
            space[length:] = bytes(len(space) - length)
            return len(space)
        return length


@contextlib.contextmanager
def _hdf5_file(path: Path) -> Iterator[Any]:
    """A new HDF5 file to fill; on a full disk the system's own OSError is raised."""
    with _PatientFile(str(path), "w+") as stream:
        try:
            with h5py.File(stream, "w") as file:
                yield file
        except (OSError, RuntimeError):
            if stream.error is None:
                raise
        if stream.error is not None:
            raise OSError(stream.error.errno, stream.error.strerror, str(path))
