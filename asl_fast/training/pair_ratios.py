"""What a descriptor says of hard-negative pairs: the ratios of their norms, read both ways."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from asl_fast.images import Resize
from asl_fast.kernels.cosface_ratio.reference import TINY_NORM
from asl_fast.records import norms
from asl_fast.training.photo_set import Pair
from asl_fast.training.photos import Photos
from asl_fast.training.rows import rows_of

MOST_MEASURED = 256


@dataclass(frozen=True, kw_only=True)
class PairReport:
    """ratio: mean of |L| / |F| over the pairs, L being no copy of F.  reverse: mean of |F| / |L|.

    Of a pair without direction L is b.  gap: mean of |log ratio|.  above: share of pairs with |L| > |F|.
    held_back: whether these are pairs that were not trained on.
    """

    num_pairs: int
    ratio: float
    reverse: float
    gap: float
    above: float
    held_back: bool

    def to_dict(self) -> dict[str, float]:
        return dataclasses.asdict(self)


def measure_pairs(
    descriptor: nn.Module,
    resize: Resize,
    photos: Photos,
    pairs: Sequence[Pair],
    device: torch.device,
    *,
    held_back: bool,
) -> PairReport:
    """The report on the first MOST_MEASURED of `pairs`, numbers in `photos`; there must be at least one."""
    ordered = [(pair.a, pair.b) if pair.order > 0 else (pair.b, pair.a) for pair in pairs[:MOST_MEASURED]]
    numbers = sorted({number for pair in ordered for number in pair})
    norm_N = norms(rows_of(descriptor, resize, [photos[number] for number in numbers], device))
    norm_N = np.maximum(norm_N, TINY_NORM)
    row_of = {number: row for row, number in enumerate(numbers)}
    ratio_H = np.array([norm_N[row_of[more]] / norm_N[row_of[less]] for more, less in ordered])
    return PairReport(
        num_pairs=len(ratio_H),
        ratio=float(ratio_H.mean()),
        reverse=float((1 / ratio_H).mean()),
        gap=float(np.abs(np.log(ratio_H)).mean()),
        above=float((ratio_H > 1).mean()),
        held_back=held_back,
    )
