"""A page to look at: some queries of each kind, family and strength beside the references they are about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from asl_fast.challenge.banks import STRENGTHS, told
from asl_fast.challenge.photos import Pixels
from asl_fast.challenge.pictures import QUERIES, REFERENCES
from asl_fast.challenge.plan import COPY, LIGHT, PLAIN, QUERY_KINDS, Query
from asl_fast.reports import PictureRow, write_pictures

_LEVELS = (PLAIN, LIGHT, *STRENGTHS)
_OF_EACH = {COPY: 1}  # of each family and strength
_OF_OTHERS = 3
_INTRO = (
    "Left the query, right the reference that it is a copy of (copy), that it shows more than (reversed) or "
    "that it could be taken for (look-alike); easy queries have none. Some of each kind, family and strength."
)


def write_page(folder: Path, queries: Sequence[Query], title: str) -> None:
    """index.html of a benchmark whose pictures are there."""
    write_pictures(
        folder / "index.html", [_row(folder, query) for query in _some(queries)], title=title, intro=_INTRO
    )


def _some(queries: Sequence[Query]) -> list[Query]:
    """The first of each kind, family and strength, the easiest first."""
    of_each: dict[tuple[str, str, str], list[Query]] = {}
    for query in queries:
        some = of_each.setdefault((query.kind, query.family, query.strength), [])
        if len(some) < _OF_EACH.get(query.kind, _OF_OTHERS):
            some.append(query)
    order = sorted(of_each, key=lambda each: (QUERY_KINDS.index(each[0]), each[1], _LEVELS.index(each[2])))
    return [query for each in order for query in of_each[each]]


def _row(folder: Path, query: Query) -> PictureRow:
    about = query.match or query.looks_like
    pictures = [("the query", _read(folder / QUERIES / f"{query.id}.jpg"))]
    if about:
        pictures.append(("the reference", _read(folder / REFERENCES / f"{about}.jpg")))
    return PictureRow(
        title=f"{query.id}, {query.kind}" + (f" {about}" if about else ""),
        note=f"{query.family}, {query.strength}",
        pictures=tuple(pictures),
        text=told(query.chain),
    )


def _read(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image)
