"""Parameters drawn at a strength (0 easy, 1 medium, 2 hard), and families put together of single ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from asl_fast.challenge.banks.bank import FAMILIES, STRENGTHS

Rng = np.random.Generator
Range = tuple[float, float]
Colour3 = tuple[int, int, int]
E = TypeVar("E")
Draw = Callable[[Rng, int], list[E]]

CHAIN, FLIP = "chain", "flip"
_FLIPPED_CHAINS = 0.3


def within(rng: Rng, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 4)


def at(rng: Rng, strength: int, easy: Range, medium: Range, hard: Range) -> float:
    return within(rng, *(easy, medium, hard)[strength])


def whole_at(
    rng: Rng, strength: int, easy: tuple[int, int], medium: tuple[int, int], hard: tuple[int, int]
) -> int:
    low, high = (easy, medium, hard)[strength]
    return int(rng.integers(low, high + 1))


def whole(rng: Rng, low: int, high: int) -> int:
    return int(rng.integers(low, high + 1))


def share(rng: Rng) -> float:
    return within(rng, 0, 1)


def chance(rng: Rng, probability: float) -> bool:
    return bool(rng.random() < probability)


def signed(rng: Rng, value: float) -> float:
    return value if chance(rng, 0.5) else -value


def either_way(rng: Rng, factor: float) -> float:
    """The factor, below 1, or one as far above 1."""
    return factor if chance(rng, 0.5) else round(2 - factor, 4)


def or_inverse(rng: Rng, factor: float) -> float:
    return factor if chance(rng, 0.5) else round(1 / factor, 4)


def colour(rng: Rng) -> Colour3:
    """Black, white or any, a third each."""
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return ((0, 0, 0), (255, 255, 255), (red, green, blue))[rng.integers(3)]


def seed(rng: Rng) -> int:
    return int(rng.integers(1 << 31))


def crop_box(rng: Rng, strength: int) -> tuple[float, float, float, float]:
    """left, top, width, height of a part, in shares."""
    area = at(rng, strength, (0.6, 0.85), (0.35, 0.6), (0.15, 0.35))
    stretch = within(rng, 0.8, 1.25)
    width, height = (round(min(1.0, edge**0.5), 4) for edge in (area * stretch, area / stretch))
    return within(rng, 0, 1 - width), within(rng, 0, 1 - height), width, height


@dataclass(frozen=True)
class Families(Generic[E]):
    """single: every family but FLIP and CHAIN, in the order in which people do them to one picture.

    flip: mirrors, or turns upside down.  passed_on: hardly to be seen.
    """

    single: Mapping[str, Draw[E]]
    flip: Callable[[bool], E]
    passed_on: Callable[[Rng], E]

    def __post_init__(self) -> None:
        if {*self.single, FLIP, CHAIN} != set(FAMILIES):
            raise ValueError(f"families must be {', '.join(FAMILIES)}, got {', '.join(self.single)}")

    def draw(self, family: str, strength: str, rng: Rng) -> list[E]:
        level = STRENGTHS.index(strength)
        if family == FLIP:
            flip = self.flip(level == 2 and chance(rng, 0.3))
            return [flip, *(self._some(rng, 1, level - 1) if level else [self.passed_on(rng)])]
        if family == CHAIN:
            flips = [self.flip(False)] if chance(rng, _FLIPPED_CHAINS) else []
            return [*flips, *self._some(rng, level + 2, min(1, level))]
        return self.single[family](rng, level)

    def _some(self, rng: Rng, number: int, level: int) -> list[E]:
        chosen = set(rng.permutation(len(self.single))[:number].tolist())
        draws = [draw for place, draw in enumerate(self.single.values()) if place in chosen]
        return [edit for draw in draws for edit in draw(rng, level)]
