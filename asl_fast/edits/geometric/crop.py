"""Nested crops: each inside the last, so that each holds less of the photo than the one before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.geometry import shift
from asl_fast.edits.steps import Size, Step, Warp


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A box in shares of the photo's width and height."""

    left: float
    top: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Share of the photo, in (0, 1]."""
        return self.width * self.height

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        area = 1 - float(rng.uniform(0.1, 0.8)) * strength
        whole = cls(left=0.0, top=0.0, width=1.0, height=1.0)
        return cls(**vars(_inside(rng, whole, area, strength * math.log(16 / 9))))

    def steps(self, size: Size) -> list[Step]:
        """The pixels in the box, at least one."""
        left, top = (
            min(edge - 1, round(share * edge))
            for share, edge in zip((self.left, self.top), size, strict=True)
        )
        right = max(left + 1, min(size[0], round((self.left + self.width) * size[0])))
        bottom = max(top + 1, min(size[1], round((self.top + self.height) * size[1])))
        if (right - left, bottom - top) == size:
            return []
        return [Warp(shift(-left, -top), (right - left, bottom - top))]


def nested_crops(
    rng: np.random.Generator,
    num_crops: int,
    *,
    least_area: float = 0.2,
    whole_share: float = 0.5,
    same_share: float = 0.0,
    stretch: float = 4 / 3,
) -> list[Crop]:
    """`num_crops` crops of falling area, each inside the last.

    Areas are drawn from [least_area, 1] of the photo; with probability whole_share the first is all of it.
    same_share: of the further ones, how many ask for all of it too: they are like the one before, or whole.
    stretch: a crop's width-to-height ratio is up to this factor off the photo's own, either way.
    """
    shares_fit = 0 <= whole_share <= 1 and 0 <= same_share <= 1
    if num_crops < 1 or not 0 < least_area <= 1 or not shares_fit or stretch < 1:
        raise ValueError(
            "nested_crops: num_crops must be 1 or more, least_area in (0, 1], whole_share and same_share "
            "in [0, 1], stretch 1 or more, "
            f"got {num_crops}, {least_area}, {whole_share}, {same_share}, {stretch}"
        )
    areas = rng.uniform(least_area, 1, num_crops)
    if same_share:
        areas[1:][rng.random(num_crops - 1) < same_share] = 1.0
    areas = np.sort(areas)[::-1]
    if rng.random() < whole_share:
        areas[0] = 1.0
    outer = Crop(left=0.0, top=0.0, width=1.0, height=1.0)
    crops = []
    for area in areas:
        outer = _inside(rng, outer, float(area), math.log(stretch))
        crops.append(outer)
    return crops


def _inside(rng: np.random.Generator, outer: Crop, area: float, log_stretch: float) -> Crop:
    """A crop of this area at a random place in `outer`; its edges never pass the outer ones."""
    wanted = math.sqrt(area) * math.exp(rng.uniform(-log_stretch, log_stretch) / 2)
    width = min(outer.width, max(wanted, area / outer.height))
    height = min(outer.height, area / width)
    left = outer.left + rng.random() * (outer.width - width)
    top = outer.top + rng.random() * (outer.height - height)
    return Crop(left=left, top=top, width=width, height=height)
