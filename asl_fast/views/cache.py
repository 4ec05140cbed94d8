"""Decoded photos that were used last, within a number of bytes."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from asl_fast.views.scaled import Need, ScaledPhoto, edge_needed


@dataclass
class _Kept:
    """least, most: edges needed when the photo came out like this; between them it would, too."""

    photo: ScaledPhoto
    least: float
    most: float


class PhotoCache:
    """One decoded size of each photo. Drops what was used longest ago.

    What it gives is what `decode_scaled` would give for these needs.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._room = max_bytes
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    @property
    def num_bytes(self) -> int:
        return self._max_bytes - self._room

    def get(self, number: int, needs: Sequence[Need] | None) -> ScaledPhoto | None:
        kept = self._kept.get(number)
        if kept is None or not kept.least <= _edge(needs, kept.photo) <= kept.most:
            return None
        self._kept.move_to_end(number)
        return kept.photo

    def put(self, number: int, needs: Sequence[Need] | None, photo: ScaledPhoto) -> None:
        """Replaces the same photo of another size; one larger than the whole cache is not kept."""
        edge = _edge(needs, photo)
        kept = self._kept.get(number)
        if kept is not None and kept.photo.pixels.shape == photo.pixels.shape:
            kept.least, kept.most = min(edge, kept.least), max(edge, kept.most)
            return
        if kept is not None:
            self._room += self._kept.pop(number).photo.pixels.nbytes
        if photo.pixels.nbytes > self._max_bytes:
            return
        self._room -= photo.pixels.nbytes
        self._kept[number] = _Kept(photo, edge, edge)
        while self._room < 0:
            self._room += self._kept.popitem(last=False)[1].photo.pixels.nbytes


def _edge(needs: Sequence[Need] | None, photo: ScaledPhoto) -> float:
    return math.inf if needs is None else edge_needed(needs, photo.size)
