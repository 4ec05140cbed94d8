"""The heaps in which HDF5 keeps texts of varying length, checked before HDF5 walks them.

A damaged one that names a piece of zero bytes makes the library walk in a circle for ever, deaf to Ctrl-C.
Layout: "III.E. Disk Format: Level 1E - Global Heap" of the HDF5 file format specification, version 3.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_HEAD = b"GCOL\x01\0\0\0"  # signature, version, reserved; then the heap's size
_PIECE = struct.Struct("<HHIQ")  # number (0: free room, its head included), references, reserved, size


def broken_heap(path: Path) -> int | None:
    """Where a heap begins whose pieces don't add up; None if there is none."""
    if path.stat().st_size == 0:
        return None
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_HEAD)
        while at >= 0:
            if not _adds_up(data, at):
                return at
            at = data.find(_HEAD, at + len(_HEAD))
    return None


def _adds_up(data: mmap.mmap, start: int) -> bool:
    place = start + 16
    if place > len(data):
        return False
    end = start + int.from_bytes(data[start + 8 : place], "little")
    if not place <= end <= len(data):
        return False
    while end - place >= _PIECE.size:
        number, _, _, size = _PIECE.unpack_from(data, place)
        step = size if number == 0 else _PIECE.size + (size + 7) // 8 * 8
        if step < _PIECE.size or place + step > end:
            return False
        place += step
    return True
