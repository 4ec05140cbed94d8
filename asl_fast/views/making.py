"""The views of one photo: decoded once, every chain drawn and traced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from asl_fast.edits import Chain, Pixels, Trace
from asl_fast.images import ImageError, decode
from asl_fast.views.cache import PixelCache


class MadePhoto(NamedTuple):
    """photo: the one that was used.  broken: those found to be broken on the way, with their reasons."""

    photo: int
    traces: list[Trace]
    broken: dict[int, str]


class Maker:
    """Makes views in the calling thread; not for two threads at once.

    data: the encoded file of a photo, OSError if it can't be read.
    """

    def __init__(self, data: Callable[[int], bytes], num_photos: int, cache_bytes: int) -> None:
        self._data = data
        self._num_photos = num_photos
        self._cache = PixelCache(cache_bytes)
        self._broken: dict[int, str] = {}

    def make(self, photo: int, chains: Sequence[Chain], rows: Sequence[Pixels]) -> MadePhoto:
        """Draw each chain of a photo (or of the next whole one) into its row."""
        known = len(self._broken)
        used, pixels = self._whole(photo)
        traces = []
        for row, chain in zip(rows, chains, strict=True):
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
