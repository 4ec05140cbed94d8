"""What a run trains on: photos by number, which of them form pairs, and what must be kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asl_fast.edits.steps import Size
from asl_fast.training.joining import joined
from asl_fast.training.settings import PairSettings


class Pair(NamedTuple):
    """Two photos by number. order: as in `FilePair`."""

    a: int
    b: int
    order: int


@dataclass(frozen=True)
class PhotoSet:
    """size_N: (width, height) of each photo, for its proportions.  group_N: photos of one scene have one.

    The first num_single photos come on their own, the others only as members of pairs.
    """

    size_N: Sequence[Size]
    group_N: Sequence[str]
    num_single: int
    pairs: Sequence[Pair] = ()

    def __len__(self) -> int:
        return len(self.size_N)

    def classes(self, settings: PairSettings) -> NDArray[np.int64]:
        """The class of each photo in the metric, numbered from 0."""
        links = [(pair.a, pair.b) for pair in self.pairs] if settings.classes == "one" else []
        return joined(len(self), links, settings.most_per_class)

    def related(self, photo: int) -> list[int]:
        """Rising: the photo, its group and those it forms a pair with; none lies over another of them."""
        group = self._members[self.group_N[photo]]
        return sorted({photo, *group, *self._partners.get(photo, ())})

    @cached_property
    def _members(self) -> dict[str, list[int]]:
        members: dict[str, list[int]] = {}
        for photo, group in enumerate(self.group_N):
            members.setdefault(group, []).append(photo)
        return members

    @cached_property
    def _partners(self) -> dict[int, list[int]]:
        partners: dict[int, list[int]] = {}
        for pair in self.pairs:
            partners.setdefault(pair.a, []).append(pair.b)
            partners.setdefault(pair.b, []).append(pair.a)
        return partners


def subset(photos: PhotoSet, kept: Sequence[int]) -> PhotoSet:
    """The photos of these rising numbers, renumbered from 0, and the pairs of which both are kept."""
    new_of = {old: new for new, old in enumerate(kept)}
    return PhotoSet(
        size_N=[photos.size_N[old] for old in kept],
        group_N=[photos.group_N[old] for old in kept],
        num_single=sum(old < photos.num_single for old in kept),
        pairs=[
            Pair(new_of[pair.a], new_of[pair.b], pair.order)
            for pair in photos.pairs
            if pair.a in new_of and pair.b in new_of
        ],
    )
