"""The views of one photo: decoded once, every chain drawn and traced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from asl_fast.edits import Chain, Pixels, Trace
from asl_fast.images import ImageError, decode
from asl_fast.views.cache import PixelCache


class PhotoOrder(NamedTuple):
    """The chains to be drawn from one photo, and for each the row of a batch to draw it into."""

    photo: int
    chains: Sequence[Chain]
    rows: Sequence[Pixels]


class MadePhoto(NamedTuple):
    """photo: the one that was used.  broken: those found to be broken on the way, with their reasons."""

    photo: int
    traces: list[Trace]
    broken: dict[int, str]


Read = Callable[[Sequence[int]], list[bytes | OSError]]
"""The encoded files of photos by number, all read at once; the error of one that can't be read."""


class Maker:
    """Makes views in the calling thread; not for two threads at once."""

    def __init__(self, read: Read, num_photos: int, cache_bytes: int) -> None:
        self._read = read
        self._num_photos = num_photos
        self._cache = PixelCache(cache_bytes)
        self._broken: dict[int, str] = {}
        self._at_hand: dict[int, bytes | OSError] = {}

    def make(self, orders: Sequence[PhotoOrder]) -> list[MadePhoto]:
        """Draw every chain of every photo, or of the next photo that isn't broken, into its row."""
        coming = [order.photo for order in orders if order.photo not in self._broken]
        coming = [photo for photo in dict.fromkeys(coming) if self._cache.get(photo) is None]
        self._at_hand = dict(zip(coming, self._read(coming), strict=True)) if coming else {}
        try:
            return [self._made(order) for order in orders]
        finally:
            self._at_hand.clear()

    def _made(self, order: PhotoOrder) -> MadePhoto:
        known = len(self._broken)
        used, pixels = self._whole(order.photo)
        traces = []
        for row, chain in zip(order.rows, order.chains, strict=True):
            view = chain.view(pixels, self)
            row[:] = view.pixels
            traces.append(view.trace)
        return MadePhoto(used, traces, dict(list(self._broken.items())[known:]))

    def __len__(self) -> int:
        """With the next, the pool of other photos that edits take theirs from."""
        return self._num_photos

    def __getitem__(self, number: int) -> Pixels:
        return self._whole(number)[1]

    def _whole(self, number: int) -> tuple[int, Pixels]:
        """This photo, or the next one that isn't broken."""
        for step in range(self._num_photos):
            photo = (number + step) % self._num_photos
            pixels = self._cache.get(photo)
            if pixels is None and photo not in self._broken:
                pixels = self._decoded(photo)
            if pixels is not None:
                return photo, pixels
        raise ValueError(
            f"views: none of {self._num_photos} photos can be decoded; photo {number}: {self._broken[number]}"
        )

    def _data(self, photo: int) -> bytes:
        data = self._at_hand.pop(photo) if photo in self._at_hand else self._read([photo])[0]
        if isinstance(data, OSError):
            raise data
        return data

    def _decoded(self, photo: int) -> Pixels | None:
        try:
            pixels = np.asarray(decode(self._data(photo)))
        except (ImageError, OSError) as error:
            self._broken[photo] = _reason(error)
            return None
        self._cache.put(photo, pixels)
        return pixels


def _reason(error: ImageError | OSError) -> str:
    if isinstance(error, ImageError):
        return str(error)
    return f"can't be read: {error.strerror or error}"
