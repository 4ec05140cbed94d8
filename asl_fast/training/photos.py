"""Photos decoded once, kept small in memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from asl_fast.images import Failure, ImageError, ImageFile, decode
from asl_fast.kernels.resize import resize
from asl_fast.training.team import Team

_KEPT_BYTES = 4 << 30  # beyond this a photo is decoded again whenever it is asked for


class Photos:
    """RGB photos by number. Their short edge is at most short_edge_px: views are smaller anyway."""

    def __init__(self, files: Sequence[ImageFile], short_edge_px: int, kept_bytes: int = _KEPT_BYTES) -> None:
        """files: those that `read_photos` found to decode."""
        self.files = list(files)
        self._short_edge_px = short_edge_px
        self._room = kept_bytes
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._sizes: dict[int, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> NDArray[np.uint8]:
        """Pixels (height, width, 3), not to be written to."""
        kept = self._kept.get(number)
        if kept is not None:
            return kept
        pixels = self._decoded(self.files[number])
        self.keep(number, pixels)
        return pixels

    def keep(self, number: int, pixels: NDArray[np.uint8]) -> None:
        self._sizes[number] = (pixels.shape[1], pixels.shape[0])
        if pixels.nbytes <= self._room and number not in self._kept:
            self._room -= pixels.nbytes
            self._kept[number] = pixels

    def note_size(self, number: int, size: tuple[int, int]) -> None:
        """Tell the size of a photo that another process has decoded."""
        self._sizes[number] = size

    def size(self, number: int) -> tuple[int, int]:
        """(width, height) as kept in memory."""
        if number not in self._sizes:
            height, width = self[number].shape[:2]
            self._sizes[number] = (width, height)
        return self._sizes[number]

    def subset(self, numbers: Sequence[int]) -> Photos:
        """The photos of these numbers, renumbered from 0; what is decoded already is not decoded again."""
        part = Photos([self.files[number] for number in numbers], self._short_edge_px, self._room)
        part._kept = {new: self._kept[old] for new, old in enumerate(numbers) if old in self._kept}
        part._sizes = {new: self._sizes[old] for new, old in enumerate(numbers) if old in self._sizes}
        return part

    def _decoded(self, file: ImageFile) -> NDArray[np.uint8]:
        photo = decode(file.read(), edge_px_hint=self._short_edge_px)
        height, width, _ = photo.shape
        shrink = self._short_edge_px / min(height, width)
        return resize(photo, round(height * shrink), round(width * shrink)) if shrink < 1 else photo


def read_photos(
    files: Sequence[ImageFile],
    short_edge_px: int,
    *,
    num_threads: int,
    progress: bool,
    team: Team | None = None,
) -> tuple[Photos, list[Failure]]:
    """Decode every file once; photos that failed are left out and told.

    team: if given, each process decodes its share, and again what it then needs of the others'.
    """
    team = team or Team()
    everything = Photos(files, short_edge_px)
    block = team.block(len(files))
    told: list[str | tuple[int, int]] = []  # why it failed, or its size
    for number, result in zip(block, _decode_all(everything, block, num_threads, progress), strict=True):
        if isinstance(result, str):
            told.append(result)
        else:
            everything.keep(number, result)
            told.append(everything.size(number))
    good, failures = [], []
    for number, said in enumerate(itertools.chain.from_iterable(team.tell(told))):
        if isinstance(said, str):
            file = everything.files[number]
            failures.append(Failure(id=file.id, path=file.shown_path, reason=said))
        else:
            everything.note_size(number, (said[0], said[1]))
            good.append(number)
    return everything.subset(good), failures


def _decode_all(
    photos: Photos, numbers: range, num_threads: int, progress: bool
) -> Iterator[NDArray[np.uint8] | str]:
    """Pixels, or why there are none."""

    def decoded(number: int) -> NDArray[np.uint8] | str:
        try:
            return photos._decoded(photos.files[number])
        except ImageError as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)

    with (
        ThreadPoolExecutor(num_threads) as pool,
        tqdm(total=len(numbers), desc="photos", unit="photo", disable=not progress) as bar,
    ):
        chunk = 64 * num_threads
        for first in range(0, len(numbers), chunk):
            for result in pool.map(decoded, numbers[first : first + chunk]):
                bar.update()
                yield result
