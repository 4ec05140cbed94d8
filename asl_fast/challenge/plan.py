"""What every query and reference is, all that is random being drawn here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from asl_fast.challenge.banks import FAMILIES, STRENGTHS, Bank
from asl_fast.challenge.roles import Roles

COPY, REVERSED, LOOK_ALIKE, EASY = "copy", "reversed", "look-alike", "easy"
QUERY_KINDS = (COPY, REVERSED, LOOK_ALIKE, EASY)
REFERENCE, DISTRACTOR, CROP = "reference", "distractor", "crop"
PLAIN, LIGHT = "plain", "light"  # strengths of queries without a match
CROP_AREA = (0.3, 0.6)  # of a reference that is shown reversed
_LOG_STRETCH = 0.25


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


def plan(roles: Roles, bank: Bank, seed: int) -> tuple[list[Reference], list[Query]]:
    """References and queries in the order of their ids, which are dealt out at random: they tell nothing."""
    rng = np.random.default_rng([seed, 1])
    references = _references(roles, rng)
    id_of = {reference.photo: reference.id for reference in references}
    num_queries = len(roles.sources) + len(roles.cropped) + len(roles.look_alikes) + len(roles.easy)
    ids = (f"Q{number:05d}" for number in rng.permutation(num_queries).tolist())
    queries = [*_copies(roles, bank, seed, id_of, ids), *_without_match(roles, bank, seed, id_of, ids)]
    return references, sorted(queries, key=lambda query: query.id)


def _references(roles: Roles, rng: np.random.Generator) -> list[Reference]:
    asked = {*roles.sources, *(reference for _, reference, _ in roles.look_alikes)}
    photos = [*roles.references, *roles.cropped]
    cropped = set(roles.cropped)
    made = []
    for number, photo in enumerate(photos[place] for place in rng.permutation(len(photos)).tolist()):
        kind = CROP if photo in cropped else REFERENCE if photo in asked else DISTRACTOR
        box = _box(rng) if kind == CROP else None
        made.append(Reference(id=f"R{number:06d}", photo=photo, kind=kind, box=box))
    return made


def _box(rng: np.random.Generator) -> Box:
    area, stretch = rng.uniform(*CROP_AREA), np.exp(rng.uniform(-_LOG_STRETCH, _LOG_STRETCH))
    width, height = (round(float(edge), 4) for edge in ((area * stretch) ** 0.5, (area / stretch) ** 0.5))
    left, top = (round(float(rng.uniform(0, 1 - edge)), 4) for edge in (width, height))
    return Box(left, top, width, height)


def _copies(
    roles: Roles, bank: Bank, seed: int, id_of: dict[int, str], ids: Iterator[str]
) -> Iterator[Query]:
    """Families in turn, each at all strengths in turn."""
    for place, photo in enumerate(roles.sources):
        family = FAMILIES[place % len(FAMILIES)]
        strength = STRENGTHS[place // len(FAMILIES) % len(STRENGTHS)]
        chain = bank.copy(family, strength, np.random.default_rng([seed, 2, place]))
        yield Query(
            id=next(ids),
            kind=COPY,
            family=family,
            strength=strength,
            chain=chain,
            photo=photo,
            match=id_of[photo],
        )


def _without_match(
    roles: Roles, bank: Bank, seed: int, id_of: dict[int, str], ids: Iterator[str]
) -> Iterator[Query]:
    """Of each kind every other one is edited lightly."""
    kinds = (
        [(REVERSED, "whole", photo, id_of[photo]) for photo in roles.cropped],
        [(LOOK_ALIKE, how, photo, id_of[reference]) for photo, reference, how in roles.look_alikes],
        [(EASY, "unrelated", photo, "") for photo in roles.easy],
    )
    for number, some in enumerate(kinds):
        for place, (kind, family, photo, looks_like) in enumerate(some):
            rng = np.random.default_rng([seed, 3 + number, place])
            chain = bank.light(rng) if place % 2 else ""
            strength = LIGHT if chain else PLAIN
            yield Query(
                id=next(ids), kind=kind, family=family, strength=strength, chain=chain, photo=photo,
                looks_like=looks_like,
            )  # fmt: skip
