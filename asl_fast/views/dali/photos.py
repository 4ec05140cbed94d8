"""Photos of a source on the device: read and checked on the host, decoded by DALI where that is the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import nvidia.dali.experimental.dynamic as ndd

from asl_fast.edits import Pixels
from asl_fast.edits.steps import Size
from asl_fast.images import Failure, Header, ImageError, decode, read_header
from asl_fast.views.dali.lowering import Cut
from asl_fast.views.dali.station import Picture, Station, each, parts, size_of
from asl_fast.views.sources import PhotoSource


class Wanted(NamedTuple):
    """A photo, or a part of it that is cut out while it is decoded."""

    photo: int
    part: Cut | None = None


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
        self._told: set[int] = set()
        self._read: dict[int, tuple[bytes, Header]] = {}

    def __len__(self) -> int:
        return len(self._source)

    def read(self, numbers: Iterable[int]) -> None:
        """Bring these files to memory and look at their headers."""
        missing = sorted(set(numbers) - self._read.keys() - self._broken.keys())
        for number, result in zip(missing, self._threads.map(self._opened, missing), strict=True):
            if isinstance(result, Failure):
                self._broken[number] = result
            else:
                self._read[number] = result

    def used(self, number: int) -> int:
        """This photo, or the next that isn't broken as far as is known. ValueError if all are."""
        for step in range(len(self)):
            photo = (number + step) % len(self)
            self.read([photo])
            if photo not in self._broken:
                return photo
        first = self._broken[number]
        raise ValueError(
            f"views: none of {len(self)} photos can be decoded; photo {number}: {first.path}: {first.reason}"
        )

    def is_whole(self, photo: int) -> bool:
        """Whether a photo that was read could be, as far as is known."""
        return photo not in self._broken

    def size(self, photo: int) -> Size:
        """(width, height) of a photo that was read, upright."""
        return self._read[photo][1].size

    def decoded(self, wanted: Sequence[Wanted]) -> dict[Wanted, Picture]:
        """RGB pictures of photos that were read; those that can't be decoded are left out and broken now."""
        result: dict[Wanted, Picture] = {}
        plain = [one for one in wanted if self._read[one.photo][1].is_plain_jpeg]
        for is_part in (False, True):
            some = [one for one in plain if (one.part is not None) == is_part]
            result |= {
                one: picture for one, picture in zip(some, self._by_dali(some), strict=True) if picture
            }
        rest = [one for one in wanted if one not in result]
        arrays: list[Pixels] = []
        for one, pixels in zip(rest, self._threads.map(self._by_pillow, rest), strict=True):
            if isinstance(pixels, Failure):
                self._broken[one.photo] = pixels
            else:
                arrays.append(pixels)
        whole = [one for one in rest if one.photo not in self._broken]
        return result | dict(zip(whole, self._station.sent(arrays), strict=True))

    def forget(self) -> None:
        """Let go of the files in memory."""
        self._read.clear()

    def not_told(self) -> tuple[Failure, ...]:
        """The broken photos that were not asked for before, in order."""
        new = sorted(self._broken.keys() - self._told)
        self._told.update(new)
        return tuple(self._broken[number] for number in new)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _opened(self, number: int) -> tuple[bytes, Header] | Failure:
        try:
            data = self._source.data(number)
            return data, read_header(data)
        except (ImageError, OSError) as error:
            return self._failure(number, error)

    def _by_dali(self, wanted: Sequence[Wanted]) -> list[Picture | None]:
        """None for what DALI refuses. It refuses whole batches: halves are tried in turn."""
        if not wanted:
            return []
        try:
            pictures = self._by_dali_at_once(wanted)
        except RuntimeError:
            if len(wanted) == 1:
                return [None]
            half = len(wanted) // 2
            return self._by_dali(wanted[:half]) + self._by_dali(wanted[half:])
        sizes = [self.size(one.photo) if one.part is None else one.part.size for one in wanted]
        return [
            picture if size_of(picture) == size else None
            for picture, size in zip(pictures, sizes, strict=True)
        ]

    def _by_dali_at_once(self, wanted: Sequence[Wanted]) -> list[Picture]:
        data = ndd.as_batch([np.frombuffer(self._read[one.photo][0], np.uint8) for one in wanted])
        cuts = [one.part for one in wanted if one.part is not None]
        # the CPU's way to enlarge colours, on a GPU too
        how = {"device": self._station.device, "jpeg_fancy_upsampling": True}
        if not cuts:
            return parts(ndd.decoders.image(data, **how))
        start_B2 = each([(cut.top, cut.left) for cut in cuts], np.int32)
        shape_B2 = each([cut.size[::-1] for cut in cuts], np.int32)
        return parts(ndd.decoders.image_slice(data, start=start_B2, shape=shape_B2, axes=(0, 1), **how))

    def _by_pillow(self, wanted: Wanted) -> Pixels | Failure:
        try:
            pixels = np.asarray(decode(self._read[wanted.photo][0]))
        except ImageError as error:
            return self._failure(wanted.photo, error)
        if wanted.part is None:
            return pixels
        left, top, (width, height) = wanted.part.left, wanted.part.top, wanted.part.size
        return np.ascontiguousarray(pixels[top : top + height, left : left + width])

    def _failure(self, number: int, error: ImageError | OSError) -> Failure:
        reason = f"can't be read: {error.strerror or error}" if isinstance(error, OSError) else str(error)
        return Failure(id=self._source.name(number), path=self._source.place(number), reason=reason)
