"""The pictures of a benchmark: drawn as it is planned, and written as JPEG files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from asl_fast.challenge.banks import Bank
from asl_fast.challenge.photos import Photos, Pixels, on_every_core, within
from asl_fast.challenge.plan import Box, Query, Reference

Told = TypeVar("Told", Reference, Query)

REFERENCES, QUERIES = "references", "queries"
_QUALITY = 95  # of the files, colours not halved: what the edits did to a query stays, and little is added


class Backgrounds(Sequence[Pixels]):
    """Photos for edits that lay two together: the easy queries'. They show nothing that a reference shows."""

    def __init__(self, photos: Photos, numbers: Sequence[int]) -> None:
        self._photos, self._numbers = photos, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place: int) -> Pixels:  # type: ignore[override]
        return self._photos[self._numbers[place]]


class Drawing:
    """edge_px: the longest edge of a query, whatever its edits made of it."""

    def __init__(self, photos: Photos, bank: Bank, backgrounds: Sequence[int], edge_px: int) -> None:
        self._photos, self._bank, self._edge_px = photos, bank, edge_px
        self._backgrounds = Backgrounds(photos, backgrounds)

    def reference(self, reference: Reference) -> Pixels:
        pixels = self._photos[reference.photo]
        return pixels if reference.box is None else cut(pixels, reference.box)

    def query(self, query: Query) -> Pixels:
        pixels = self._photos[query.photo]
        if not query.chain:
            return pixels
        return within(self._bank.apply(query.chain, pixels, self._backgrounds), self._edge_px)

    def write(
        self,
        folder: Path,
        references: Sequence[Reference],
        queries: Sequence[Query],
        progress: Callable[[], object],
    ) -> None:
        """Make references/ and queries/ in `folder`, on every core."""
        for name in (REFERENCES, QUERIES):
            (folder / name).mkdir()
        for _ in on_every_core(self._save_reference, _of(folder / REFERENCES, references)):
            progress()
        for _ in on_every_core(self._save_query, _of(folder / QUERIES, queries)):
            progress()

    def _save_reference(self, told: tuple[Path, Reference]) -> None:
        _save(told[0], self.reference(told[1]))

    def _save_query(self, told: tuple[Path, Query]) -> None:
        _save(told[0], self.query(told[1]))


def _of(folder: Path, some: Iterable[Told]) -> Iterator[tuple[Path, Told]]:
    return ((folder / f"{one.id}.jpg", one) for one in some)


def cut(pixels: Pixels, box: Box) -> Pixels:
    """The pixels in the box, edges rounded."""
    height, width = pixels.shape[:2]
    left, top = round(box.left * width), round(box.top * height)
    right, bottom = round((box.left + box.width) * width), round((box.top + box.height) * height)
    return pixels[top:bottom, left:right]


def _save(path: Path, pixels: Pixels) -> None:
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, "JPEG", quality=_QUALITY, subsampling=0)
