"""Write a file of sections (sections.py), whole or not at all, from arrays that need not fit memory."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from asl_fast.files import replacing
from asl_fast.indexes.folder.sections import (
    BLOCK_BYTES,
    HEAD,
    MAGIC,
    MAJOR,
    MINOR,
    SUMMED,
    Head,
    num_blocks,
    padded,
    parse_head,
)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A section to write: the parts, one after the other, make up the array of this type and shape."""

    dtype: str
    shape: tuple[int, ...]
    parts: Iterable[NDArray[Any]]


def planned(array: NDArray[Any], dtype: DTypeLike) -> Planned:
    """An array in memory as a section."""
    whole = np.ascontiguousarray(array, dtype=dtype)
    return Planned(dtype=whole.dtype.str, shape=whole.shape, parts=[whole])


def write_sections(path: Path, about: Mapping[str, Any], sections: Mapping[str, Planned]) -> Head:
    """Write the file, whole or not at all. The parts are written as they come, so they may be made late."""
    empty = {name: np.zeros(num_blocks(_size(plan)), np.uint32) for name, plan in sections.items()}
    start = HEAD.size + len(_table(about, sections, empty))
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        stream.seek(start)
        sums = {name: _write_section(stream, name, plan) for name, plan in sections.items()}
        size = stream.tell()
        table = _table(about, sections, sums)
        head = HEAD.pack(MAGIC, MAJOR, MINOR, size, len(table), bytes(32))[:SUMMED]
        raw = head + hashlib.sha256(head + table).digest() + table
        stream.seek(0)
        stream.write(raw)
    return parse_head(raw, path)


def _write_section(stream: IO[bytes], name: str, plan: Planned) -> NDArray[np.uint32]:
    """Write the parts and the padding; return the CRC-32 of each block."""
    sums: list[int] = []
    crc, room = 0, BLOCK_BYTES
    size = _size(plan)
    padding = np.zeros(padded(size) - size, np.uint8)
    for part in chain(plan.parts, [padding]):
        data = np.ascontiguousarray(part).reshape(-1).view(np.uint8)
        stream.write(data.data)
        while len(data):
            crc = zlib.crc32(data[:room].data, crc)
            data, room = data[room:], room - len(data[:room])
            if room == 0:
                sums.append(crc)
                crc, room = 0, BLOCK_BYTES
    if room < BLOCK_BYTES:
        sums.append(crc)
    if len(sums) != num_blocks(size):
        raise RuntimeError(f"section {name}: the parts don't make up {plan.dtype} {plan.shape}")
    return np.array(sums, np.uint32)


def _table(
    about: Mapping[str, Any], sections: Mapping[str, Planned], sums: Mapping[str, NDArray[np.uint32]]
) -> bytes:
    """The table's bytes; their number does not depend on the sums. Places follow from order and sizes."""
    entries = [
        {
            "name": name,
            "type": plan.dtype,
            "shape": plan.shape,
            "size": _size(plan),
            "crc32": sums[name].astype(">u4").tobytes().hex(),
        }
        for name, plan in sections.items()
    ]
    table = json.dumps({"about": about, "sections": entries}).encode()
    return table.ljust(padded(HEAD.size + len(table)) - HEAD.size)


def _size(plan: Planned) -> int:
    size = np.dtype(plan.dtype).itemsize
    for number in plan.shape:
        size *= number
    return size
