"""Decoded photos that were used last, within a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from asl_fast.edits import Pixels


class PixelCache:
    """Drops what was used longest ago; a picture larger than all of it is not kept."""

    def __init__(self, max_bytes: int) -> None:
        self._room = max_bytes
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, Pixels] = OrderedDict()

    @property
    def num_bytes(self) -> int:
        return self._max_bytes - self._room

    def get(self, key: Hashable) -> Pixels | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: Hashable, pixels: Pixels) -> None:
        if key in self._kept or pixels.nbytes > self._max_bytes:
            return
        self._room -= pixels.nbytes
        self._kept[key] = pixels
        while self._room < 0:
            self._room += self._kept.popitem(last=False)[1].nbytes
