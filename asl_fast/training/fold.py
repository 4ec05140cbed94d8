"""Which photos train and which are held back, of those on their own and of those in pairs."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asl_fast.images import ImageFile
from asl_fast.training.joining import joined
from asl_fast.training.photo_set import PhotoSet

LEAST_HELD_BACK = 4
MOST_HELD_PHOTOS = 512  # of those that only pairs have: enough to measure their ratios
MOST_HELD_BACK = 4096  # of the others: a share of a million would be more than is measured in a sensible time


def groups_of(files: Sequence[ImageFile], folder: Path) -> list[str]:
    """The group of each photo: of the `group` column of folder/manifest.csv, else one of its own.

    Photos of one group show one scene or product, so they must not stand on both sides of the split.
    """
    manifest = folder / "manifest.csv"
    alone = [f"photo {file.id}" for file in files]
    if not manifest.is_file():
        return alone
    with manifest.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        if not {"file", "group"} <= set(rows.fieldnames or ()):
            return alone
        group_of = {os.path.normpath(row["file"]): f"group {row['group']}" for row in rows if row["group"]}
    places = [os.path.relpath(file.path, folder) for file in files]
    return [group_of.get(place, own) for place, own in zip(places, alone, strict=True)]


def hold_back(groups: Sequence[str], share: float, seed: int) -> tuple[list[int], list[int]]:
    """(numbers that train, numbers held back), no group on both sides; about `share`, at most MOST_HELD_BACK.

    Groups come in an order drawn from the seed; one that would overshoot by half the share is passed over.
    ValueError if that leaves fewer than four photos on a side.
    """
    members: dict[str, list[int]] = {}
    for number, group in enumerate(groups):
        members.setdefault(group, []).append(number)
    names = sorted(members)
    wanted = max(LEAST_HELD_BACK, min(MOST_HELD_BACK, round(share * len(groups))))
    held: list[int] = []
    for position in np.random.default_rng([seed, 1]).permutation(len(names)):
        group_numbers = members[names[position]]
        if len(held) < wanted and len(held) + len(group_numbers) <= 1.5 * wanted:
            held += group_numbers
    trained = sorted(set(range(len(groups))) - set(held))
    if min(len(held), len(trained)) < LEAST_HELD_BACK:
        raise ValueError(
            f"train: {len(groups)} photos in {len(names)} groups can't be split into two sides of "
            f"{LEAST_HELD_BACK} or more photos each; give more photos"
        )
    return trained, sorted(held)


def hold_back_others(photos: PhotoSet, held: Sequence[int], share: float, seed: int) -> list[int]:
    """Of the photos that only pairs have, the numbers held back, once `held` is of those on their own.

    Photos that hang together by pairs or groups stay together: held back where one of them belongs to a photo
    that is, trained on where one belongs to a photo that is, else drawn from the seed until about `share` of
    those is held back, or MOST_HELD_PHOTOS.
    """
    others = range(photos.num_single, len(photos))
    links = [(pair.a, pair.b) for pair in photos.pairs if min(pair.a, pair.b) >= photos.num_single]
    first_of: dict[str, int] = {}
    links += [(first_of.setdefault(photos.group_N[photo], photo), photo) for photo in others]
    set_N = joined(len(photos), links).tolist()

    held_singles = set(held)
    held_of_group = {photos.group_N[photo]: photo in held_singles for photo in range(photos.num_single)}
    told: dict[int, set[bool]] = {set_N[photo]: set() for photo in others}
    for photo in others:
        if photos.group_N[photo] in held_of_group:
            told[set_N[photo]].add(held_of_group[photos.group_N[photo]])
    for pair in photos.pairs:
        for one, other in ((pair.a, pair.b), (pair.b, pair.a)):
            if one < photos.num_single <= other:
                told[set_N[other]].add(one in held_singles)

    size_of = Counter(set_N[photo] for photo in others)
    free = [number for number, sides in told.items() if not sides]
    wanted = min(MOST_HELD_PHOTOS, round(share * sum(size_of[number] for number in free)))
    held_sets = {number for number, sides in told.items() if True in sides}
    num_drawn = 0
    for place in np.random.default_rng([seed, 7]).permutation(len(free)):
        size = size_of[free[place]]
        if num_drawn < wanted and num_drawn + size <= 1.5 * wanted:
            held_sets.add(free[place])
            num_drawn += size
    return [photo for photo in others if set_N[photo] in held_sets]
