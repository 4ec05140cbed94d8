"""The plan of a benchmark: what every query and reference is; then its pictures and tables, as files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from asl_fast.challenge.bank import FAMILIES, STRENGTHS, Bank
from asl_fast.challenge.photos import Photos, within
from asl_fast.challenge.roles import Roles

Pixels = NDArray[np.uint8]

COPY, REVERSED, LOOK_ALIKE, EASY = "copy", "reversed", "look-alike", "easy"
KINDS = (COPY, REVERSED, LOOK_ALIKE, EASY)
REFERENCE, DISTRACTOR, CROPPED = "reference", "distractor", "crop"
CROP_AREA = (0.3, 0.6)  # of a reference that is shown reversed
_CROP_STRETCH = 0.25
_QUALITY = 95  # of the files: what the edits did to a query stays, and little is added
PLAIN, LIGHT = "plain", "light"


class Box(NamedTuple):
    """A part of a photo, in shares of its width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Reference:
    """photo: its number.  kind: reference (a query is of it), distractor, or crop (then box is the part)."""

    id: str
    photo: int
    kind: str
    box: Box | None = None


@dataclass(frozen=True, kw_only=True)
class Query:
    """photo: number of the one that is shown.  chain: JSON, empty for the photo as it is.

    match: id of the reference that it is a copy of, or "".  looks_like: of one that it resembles.
    """

    id: str
    kind: str
    family: str
    strength: str
    chain: str
    photo: int
    match: str = ""
    looks_like: str = ""


def plan_queries(roles: Roles, bank: Bank, seed: int) -> tuple[list[Reference], list[Query]]:
    """All that is random is drawn here. Ids are dealt out at random, so that they tell nothing."""
    rng = np.random.default_rng([seed, 1])
    references = _references(roles, rng)
    id_of = {reference.photo: reference.id for reference in references}
    number = _Numbers(len(roles.sources) + len(roles.cropped) + len(roles.look_alikes) + len(roles.easy), rng)
    queries = []
    for place, photo in enumerate(roles.sources):
        family, strength = FAMILIES[place % len(FAMILIES)], STRENGTHS[place // len(FAMILIES) % len(STRENGTHS)]
        chain = bank.copy(family, strength, np.random.default_rng([seed, 2, place]))
        queries.append(
            Query(
                id=number.next(),
                kind=COPY,
                family=family,
                strength=strength,
                chain=chain,
                photo=photo,
                match=id_of[photo],
            )
        )
    others = [
        *((REVERSED, "whole", photo, id_of[photo]) for photo in roles.cropped),
        *((LOOK_ALIKE, how, photo, id_of[reference]) for photo, reference, how in roles.look_alikes),
        *((EASY, "unrelated", photo, "") for photo in roles.easy),
    ]
    for place, (kind, family, photo, looks_like) in enumerate(others):
        chain = bank.light(np.random.default_rng([seed, 3, place])) if place % 2 else ""
        queries.append(
            Query(
                id=number.next(),
                kind=kind,
                family=family,
                strength=LIGHT if chain else PLAIN,
                chain=chain,
                photo=photo,
                looks_like=looks_like,
            )
        )
    return references, sorted(queries, key=lambda query: query.id)


class _Numbers:
    """Query ids in random order."""

    def __init__(self, most: int, rng: np.random.Generator) -> None:
        self._left = iter(rng.permutation(most).tolist())

    def next(self) -> str:
        return f"Q{next(self._left):05d}"


def _references(roles: Roles, rng: np.random.Generator) -> list[Reference]:
    asked = {*roles.sources, *(reference for _, reference, _ in roles.look_alikes)}
    told = [(photo, REFERENCE if photo in asked else DISTRACTOR, None) for photo in roles.references]
    told += [(photo, CROPPED, _box(rng)) for photo in roles.cropped]  # type: ignore[misc]
    order = rng.permutation(len(told)).tolist()
    return [
        Reference(id=f"R{number:06d}", photo=photo, kind=kind, box=box)
        for number, (photo, kind, box) in enumerate(told[place] for place in order)
    ]


def _box(rng: np.random.Generator) -> Box:
    area = rng.uniform(*CROP_AREA)
    stretch = np.exp(rng.uniform(-_CROP_STRETCH, _CROP_STRETCH))
    width, height = (round(float(edge), 4) for edge in ((area * stretch) ** 0.5, (area / stretch) ** 0.5))
    left, top = (round(float(rng.uniform(0, 1 - edge)), 4) for edge in (width, height))
    return Box(left, top, width, height)


def cut(pixels: Pixels, box: Box) -> Pixels:
    height, width = pixels.shape[:2]
    left, top = round(box.left * width), round(box.top * height)
    right, bottom = round((box.left + box.width) * width), round((box.top + box.height) * height)
    return pixels[top:bottom, left:right]


class Backgrounds:
    """The easy queries' photos: they show nothing that any reference shows."""

    def __init__(self, photos: Photos, numbers: Sequence[int]) -> None:
        self._photos, self._numbers = photos, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place: int) -> Pixels:
        return self._photos[self._numbers[place]]


def make_pictures(
    folder: Path,
    photos: Photos,
    bank: Bank,
    references: Sequence[Reference],
    queries: Sequence[Query],
    backgrounds: Sequence[int],
    *,
    edge_px: int,
    progress: Callable[[], object],
) -> None:
    """Write references/ and queries/. edge_px: the longest edge of a query, whatever its edits made of it."""
    for name in ("references", "queries"):
        (folder / name).mkdir()
    for reference in references:
        pixels = photos[reference.photo]
        _save(
            folder / "references" / f"{reference.id}.jpg",
            pixels if reference.box is None else cut(pixels, reference.box),
        )
        progress()
    pool = Backgrounds(photos, backgrounds)
    for query in queries:
        pixels = photos[query.photo]
        if query.chain:
            pixels = within(bank.apply(query.chain, pixels, pool), edge_px)  # type: ignore[arg-type]
        _save(folder / "queries" / f"{query.id}.jpg", pixels)
        progress()


def _save(path: Path, pixels: Pixels) -> None:
    Image.fromarray(pixels).save(path, "JPEG", quality=_QUALITY, subsampling=0)


def write_tables(
    folder: Path,
    photos: Photos,
    references: Sequence[Reference],
    queries: Sequence[Query],
    left_out: Sequence[tuple[str, str]],
) -> None:
    """truth.csv, queries.csv, references.csv, and skipped.csv where photos were skipped."""
    name = [file.id for file in photos.files]
    _write(folder / "truth.csv", "query_id,reference_id", ((query.id, query.match) for query in queries))
    _write(
        folder / "queries.csv",
        "query_id,kind,family,strength,photo,match,looks_like,chain",
        (
            (
                query.id,
                query.kind,
                query.family,
                query.strength,
                name[query.photo],
                query.match,
                query.looks_like,
                query.chain,
            )
            for query in queries
        ),
    )
    _write(
        folder / "references.csv",
        "reference_id,photo,kind,left,top,width,height",
        ((one.id, name[one.photo], one.kind, *(one.box or ("",) * 4)) for one in references),
    )
    if left_out:
        _write(folder / "skipped.csv", "photo,reason", left_out)


def _write(path: Path, header: str, rows: object) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)  # type: ignore[arg-type]
