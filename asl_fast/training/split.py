"""Photos and pairs, divided into those that train and those that measure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from asl_fast.images import ImageFile
from asl_fast.training.fold import groups_of, hold_back, hold_back_others
from asl_fast.training.photo_set import Pair, PhotoSet, subset
from asl_fast.training.photos import Photos


class Split(NamedTuple):
    """Numbers in `photos`. measured: pairs to report on.  held_pairs: whether those are held back."""

    trained: list[int]
    train_set: PhotoSet
    held: list[int]
    measured: list[Pair]
    held_pairs: bool
    num_pairs_apart: int


def split_photos(
    photos: Photos,
    listed: Sequence[ImageFile],
    num_files: int,
    numbered: Sequence[Pair],
    folder: Path,
    share: float,
    seed: int,
) -> Split:
    """photos: those of `listed` that can be decoded; the first num_files of `listed` come on their own.

    The fold of photos on their own is the same with pairs and without. No held-back photo is trained on: a
    pair with one photo on each side is left out.
    """
    number_of = {file: number for number, file in enumerate(photos.files)}
    good = [number_of.get(file, -1) for file in listed]
    everything = PhotoSet(
        size_N=[photos.size(number) for number in range(len(photos))],
        group_N=groups_of(photos.files, folder),
        num_single=sum(number >= 0 for number in good[:num_files]),
        pairs=[
            Pair(good[pair.a], good[pair.b], pair.order)
            for pair in numbered
            if min(good[pair.a], good[pair.b]) >= 0
        ],
    )
    singles = everything.group_N[: everything.num_single]
    trained, held = hold_back(singles, share, seed)
    held_others = hold_back_others(everything, held, share, seed)
    trained += sorted(set(range(everything.num_single, len(everything))) - set(held_others))
    train_set = subset(everything, trained)
    held_set = set(held) | set(held_others)
    held_pairs = [pair for pair in everything.pairs if {pair.a, pair.b} <= held_set]
    trained_pairs = [Pair(trained[pair.a], trained[pair.b], pair.order) for pair in train_set.pairs]
    return Split(
        trained=trained,
        train_set=train_set,
        held=held,
        measured=held_pairs or trained_pairs,
        held_pairs=bool(held_pairs),
        num_pairs_apart=len(everything.pairs) - len(held_pairs) - len(trained_pairs),
    )
