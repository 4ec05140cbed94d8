"""Files -> batches of pixels for embedding, decoded and resized by DALI: what `images.load_batches` does."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
from numpy.typing import NDArray
from nvidia.dali.types import DALIInterpType
from torch import Tensor

from asl_fast.edits.steps import Size
from asl_fast.images import WHOLE, Batch, Framing, ImageFile, Resize
from asl_fast.views.dali.lowering import Cut
from asl_fast.views.dali.photos import DevicePhotos, Wanted
from asl_fast.views.dali.station import Station, each
from asl_fast.views.sources import FilePhotos


class DaliLoader:
    """`load_batches` with DALI on a device. The filter is the same, Keys' cubic as wide as the scale.

    JPEG files are decoded whole, not at an eighth, so rows of embeddings differ a little; docs/dali.md says
    how much. On a GPU the pixels of a batch are a tensor on it.
    """

    def __init__(self, device: str) -> None:
        self.device = device

    def __call__(
        self,
        files: Sequence[ImageFile],
        framing: Framing,
        *,
        batch_size: int,
        num_threads: int,
        start: int = 0,
    ) -> Iterator[Batch]:
        if framing.num_frames != 1 or framing.views != (WHOLE,):
            raise ValueError("DALI: pictures must be whole and of one size; use the CPU for others")
        resize = framing.resizes[0]
        if resize.mode not in ("square", "short-center"):
            raise ValueError(
                f'DALI: resize mode must be "square" or "short-center", got {resize.mode!r}; use the CPU'
            )
        return _batches(Station(self.device, num_threads), files, resize, batch_size, start)


def _batches(
    station: Station, files: Sequence[ImageFile], resize: Resize, batch_size: int, start: int
) -> Iterator[Batch]:
    """One batch ahead of what is asked for."""
    photos = DevicePhotos(FilePhotos(files), station)
    ahead = ThreadPoolExecutor(1, thread_name_prefix="asl_fast-dali-ahead")
    ranges = [
        range(first, min(len(files), first + batch_size)) for first in range(start, len(files), batch_size)
    ]
    coming = deque(ahead.submit(_batch, station, photos, files, numbers, resize) for numbers in ranges[:2])
    try:
        for numbers in [*ranges[2:], None, None][: len(ranges)]:
            made = coming.popleft().result()
            if numbers is not None:
                coming.append(ahead.submit(_batch, station, photos, files, numbers, resize))
            yield made
    finally:
        ahead.shutdown(wait=True, cancel_futures=True)
        photos.close()
        station.close()


def _batch(
    station: Station, photos: DevicePhotos, files: Sequence[ImageFile], numbers: range, resize: Resize
) -> Batch:
    with station.working():
        photos.read(numbers)
        wanted = [
            Wanted(number, _middle(photos.size(number)) if resize.mode == "short-center" else None)
            for number in numbers
            if photos.is_whole(number)
        ]
        picture_of = photos.decoded(wanted)
        photos.forget()
        whole = [one for one in wanted if one in picture_of]
        pixels: NDArray[np.uint8] | Tensor = np.empty((0, resize.edge_px, resize.edge_px, 3), np.uint8)
        if whole:
            resized = ndd.resize(
                station.batch([picture_of[one] for one in whole]),
                size=each([(resize.edge_px, resize.edge_px)] * len(whole)),
                interp_type=DALIInterpType.INTERP_CUBIC,
                antialias=True,
            )
            tensor = station.handed_over(resized)
            pixels = tensor.numpy() if tensor.device.type == "cpu" else tensor
    return Batch(
        first=numbers.start,
        file_B=[files[one.photo] for one in whole],
        frames_B=[[frame] for frame in pixels],
        failures=list(photos.not_told()),
    )


def _middle(size: Size) -> Cut:
    """The square in the middle."""
    short = min(size)
    return Cut((size[0] - short) // 2, (size[1] - short) // 2, (short, short))
