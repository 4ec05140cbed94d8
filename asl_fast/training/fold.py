"""Which photos train and which are held back."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asl_fast.images import ImageFile

LEAST_HELD_BACK = 4


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
    """(numbers that train, numbers held back), no group on both sides; about `share` is held back.

    Groups come in an order drawn from the seed; one that would overshoot by half the share is passed over.
    ValueError if that leaves fewer than four photos on a side.
    """
    members: dict[str, list[int]] = {}
    for number, group in enumerate(groups):
        members.setdefault(group, []).append(number)
    names = sorted(members)
    wanted = max(LEAST_HELD_BACK, round(share * len(groups)))
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
