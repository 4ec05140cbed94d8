"""Photos of a source on the device: read and checked on the host, decoded by DALI where that is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
from numpy.typing import NDArray

from asl_fast.edits.steps import Size
from asl_fast.images import Failure, Header, ImageError, decode, read_header
from asl_fast.views.dali.lowering import Cut
from asl_fast.views.dali.station import Picture, Station, size_of
from asl_fast.views.sources import PhotoSource

Given = TypeVar("Given")
Made = TypeVar("Made")


class BrokenPhoto(Exception):
    """A photo whose header was good can't be decoded; it is in the list of broken ones now."""


class DevicePhotos:
    """Photos by number. A broken one is replaced by the next, and told of once.

    Plain JPEG files (see `Header`) go through DALI's decoder, all others through `images.decode`. What DALI
    refuses is tried there too, so that one of a batch can't harm the others and its reason is told.
    """

    def __init__(self, source: PhotoSource, station: Station) -> None:
        self._source = source
        self._station = station
        self._threads = ThreadPoolExecutor(station.num_threads, thread_name_prefix="asl_fast-dali")
        self._broken: dict[int, Failure] = {}
        self._told = 0
        self._read: dict[int, tuple[bytes, Header]] = {}

    def __len__(self) -> int:
        return len(self._source)

    def read(self, numbers: Iterable[int]) -> None:
        """Have these files in memory, for `used` and `decoded`."""
        missing = sorted(set(numbers) - self._read.keys() - self._broken.keys())
        for number, result in zip(missing, self._threads.map(self._one, missing), strict=True):
            if isinstance(result, Failure):
                self._broken[number] = result
            else:
                self._read[number] = result

    def forget(self) -> None:
        """Give the memory of the files free."""
        self._read.clear()

    def used(self, number: int) -> int:
        """This photo, or the next that isn't broken. ValueError if all are."""
        for step in range(len(self)):
            photo = (number + step) % len(self)
            self.read([photo])
            if photo not in self._broken:
                return photo
        first = next(iter(self._broken.values()))
        raise ValueError(
            f"views: none of {len(self)} photos can be decoded; the first: {first.path}: {first.reason}"
        )

    def size(self, photo: int) -> Size:
        """(width, height), upright."""
        return self._read[photo][1].size

    def decoded(self, wanted: Sequence[tuple[int, Cut | None]]) -> list[Picture]:
        """RGB pictures of these photos, or of the part that is wanted. BrokenPhoto if one must be replaced."""
        result: list[Picture] = [None] * len(wanted)
        on_host: list[int] = []
        whole, parts = [], []
        for place, (photo, cut) in enumerate(wanted):
            group = on_host if not self._read[photo][1].is_plain_jpeg else whole if cut is None else parts
            group.append(place)
        for places in (whole, parts):
            for place, picture in zip(places, self._by_dali([wanted[place] for place in places]), strict=True):
                result[place] = picture
                if picture is None:
                    on_host.append(place)
        if on_host:
            arrays = self._threads.map(self._by_pillow, [wanted[place] for place in on_host])
            for place, picture in zip(on_host, self._station.sent(_all(arrays)), strict=True):
                result[place] = picture
        return result
