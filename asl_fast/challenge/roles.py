"""Which photo plays which part.

A photo is shown by queries without a match, or is a reference: never both. Queries that have a match are
edited from references. Easy queries have no kin among the references, so that nothing there shows the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asl_fast.challenge.kinship import Kinship

_FREE, _REFERENCE, _QUERY, _CROPPED, _BARRED = range(5)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Numbers of queries. references: most whole photos as references, None for all that are left."""

    copies: int
    reversed: int
    look_alikes: int
    easy: int
    references: int | None = None


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Photos by number.

    references: whole ones.  sources: of each copy, all among the references.  cropped: of which only a part
    is a reference.  look_alikes: (photo of the query, reference that it looks like, "pair" or "group").
    easy: photos with no kin among the references.  left_out: shown nowhere.
    """

    references: tuple[int, ...]
    sources: tuple[int, ...]
    cropped: tuple[int, ...]
    look_alikes: tuple[tuple[int, int, str], ...]
    easy: tuple[int, ...]
    left_out: tuple[int, ...]


def give_roles(kinship: Kinship, wanted: Wanted, rng: np.random.Generator) -> Roles:
    """ValueError says what there are too few photos for."""
    part = [_FREE] * len(kinship.group)
    look_alikes = _look_alikes(kinship, wanted.look_alikes, part, rng)
    easy = _easy(kinship, wanted.easy, part, rng)
    free = [number for number in rng.permutation(len(part)).tolist() if part[number] == _FREE]
    _enough("reversed", wanted.reversed, len(free))
    cropped, free = free[: wanted.reversed], free[wanted.reversed :]
    fixed = [number for number, one in enumerate(part) if one == _REFERENCE]
    most = len(fixed) + len(free) if wanted.references is None else wanted.references
    if most < len(fixed):
        raise ValueError(
            f"--references must be at least {len(fixed)}, which the look-alikes need, got {most}; raise it"
        )
    references = rng.permutation(fixed + free[: most - len(fixed)]).tolist()
    if wanted.copies and not references:
        raise ValueError(f"{len(part)} photos leave none as references of the copies; ask for fewer queries")
    sources = [references[number % len(references)] for number in range(wanted.copies)]
    used = {*references, *cropped, *easy, *(query for query, _, _ in look_alikes)}
    return Roles(
        references=tuple(references),
        sources=tuple(sources),
        cropped=tuple(cropped),
        look_alikes=tuple(look_alikes),
        easy=tuple(easy),
        left_out=tuple(number for number in range(len(part)) if number not in used),
    )


def _look_alikes(
    kinship: Kinship, wanted: int, part: list[int], rng: np.random.Generator
) -> list[tuple[int, int, str]]:
    """Pairs first: somebody said that these look alike. Which of the two is the query is left to chance."""
    found: list[tuple[int, int, str]] = []
    for how, others in (("pair", kinship.pairs), ("group", kinship.group)):
        for query in rng.permutation(len(part)).tolist():
            if len(found) == wanted:
                return found
            likely = [other for other in others[query] if other != query and part[other] <= _REFERENCE]
            if part[query] != _FREE or not likely:
                continue
            reference = likely[int(rng.integers(len(likely)))]
            part[query], part[reference] = _QUERY, _REFERENCE
            found.append((query, reference, how))
    _enough("look-alikes", wanted, len(found))
    return found


def _easy(kinship: Kinship, wanted: int, part: list[int], rng: np.random.Generator) -> list[int]:
    """Photos with little kin come first: their kin can't be references."""
    chosen: list[int] = []
    order: Sequence[int] = sorted(
        rng.permutation(len(part)).tolist(), key=lambda number: len(kinship.kin(number))
    )
    for number in order:
        if len(chosen) == wanted:
            break
        kin = kinship.kin(number)
        if part[number] not in (_FREE, _BARRED) or any(part[other] == _REFERENCE for other in kin):
            continue
        part[number] = _QUERY
        chosen.append(number)
        for other in kin:
            if part[other] == _FREE:
                part[other] = _BARRED
    _enough("easy", wanted, len(chosen))
    return chosen


def _enough(what: str, wanted: int, there: int) -> None:
    if there < wanted:
        raise ValueError(
            f"--{what} {wanted}: the photos give no more than {there} of these; ask for fewer or add photos"
        )
