"""What a margin does to the cosine of a row and its own class; every path of the kernel reads it here.

cosface  c - m                            Wang et al. 2018 (CosFace)
arcface  cos(acos(c) + m), and beyond pi  c - m sin(m)        Deng et al. 2019 (ArcFace)
softmax  c                                plain normalised softmax; m must be 0
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

MARGIN_KINDS = ("cosface", "arcface", "softmax")
TINY_SINE_SQUARE = 1e-6  # ArcFace's slope is infinite at c = 1; nearer than this the sine counts as constant


def with_margin(cosine_N: Tensor, kind: str, margin: float) -> Tensor:
    """The cosine that takes the target's place, same shape; at most 1."""
    if kind == "arcface":
        turned_N = cosine_N * math.cos(margin) - _sine_square(cosine_N).sqrt() * math.sin(margin)
        return torch.where(cosine_N > -math.cos(margin), turned_N, cosine_N - margin * math.sin(margin))
    return cosine_N - margin if kind == "cosface" else cosine_N.clone()


def margin_slope(cosine_N: Tensor, kind: str, margin: float) -> Tensor:
    """Derivative of `with_margin` by the cosine."""
    one_N = torch.ones_like(cosine_N)
    if kind != "arcface":
        return one_N
    sine_square_N = _sine_square(cosine_N)
    bend_N = torch.where(sine_square_N > TINY_SINE_SQUARE, cosine_N / sine_square_N.sqrt(), 0.0)
    slope_N = math.cos(margin) + bend_N * math.sin(margin)
    return torch.where(cosine_N > -math.cos(margin), slope_N, one_N)


def _sine_square(cosine_N: Tensor) -> Tensor:
    return (1 - cosine_N.square()).clamp_min(TINY_SINE_SQUARE)
