"""Partial FC (An et al. 2022): a step sees the classes of its batch and a random share of the others.

Whether a class is drawn depends on (key, class) alone, not on who holds it: any number of ranks draws the
same classes, and nothing has to be kept for an exact resume.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sampled_classes(label_N: Tensor, num_classes: int, share: float, key: int, *, first: int = 0) -> Tensor:
    """int64, rising: the classes of label_N and about `share` of the others, as numbers from 0.

    label_N: int64 in -1..num_classes - 1, -1 = none.  key: 63 random bits.  first: the number that class 0
    has among the classes of all ranks.
    """
    drawn_C = _random_bits(torch.arange(first, first + num_classes, device=label_N.device), key) < int(
        share * 2**62
    )
    drawn_C[label_N[label_N >= 0]] = True
    return drawn_C.nonzero().squeeze(1)


def _random_bits(number_C: Tensor, key: int) -> Tensor:
    """int64 in 0..2^62 - 1: the mixing function of SplitMix64 (Steele, Lea, Flood 2014), key and all."""
    bits_C = (number_C + 1) * _signed(0x9E3779B97F4A7C15) + key
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits_C = (bits_C ^ _shifted(bits_C, shift)) * _signed(factor)
    return _shifted(bits_C ^ _shifted(bits_C, 31), 2)


def _shifted(bits_C: Tensor, places: int) -> Tensor:
    """To the right, with zeros from the left as for unsigned numbers."""
    return (bits_C >> places) & ((1 << (64 - places)) - 1)


def _signed(value: int) -> int:
    return value - 2**64
