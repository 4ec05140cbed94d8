"""CosFace over one class per training image, plus the norm ratio of pairs that are ordered by content.

    metric = mean over rows n with label y >= 0 of  -log softmax_c(scale * (cos(x_n, w_c) - margin [c=y]))[y]
    ratio  = mean over pairs (i, j) of  exp(1 - |x_i| / |x_j|),   i holds more content than j
    gap    = mean over pairs (i, j) of  |log(|x_i| / |x_j|)|,     neither holds more than the other
    total  = metric_weight * metric + ratio_weight * ratio + gap_weight * gap

Why it exists: it is the objective of asymmetrical-similarity learning (AAAI 2023, eq. 2; metric_weight is its
lambda). CosFace sees only directions, so the norm is free to say how much content a picture still holds.
With a million classes the N x C logits and normalised weights of plain PyTorch are tens of GB; here chunks of
classes pass by and are computed again in the backward pass (see shard.py, class_softmax.py).
What bounds its speed: four N x C x D products; for a small batch, reading the class weights four times.

Shapes: N rows in a batch, C classes, D dimensions, P ordered pairs, E even ones.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from asl_fast.kernels.cosface_ratio.checks import check_indexes, check_margin, check_rows, check_scale
from asl_fast.kernels.cosface_ratio.class_softmax import class_softmax
from asl_fast.kernels.cosface_ratio.margins import MARGIN_KINDS
from asl_fast.kernels.cosface_ratio.norm_gap import norm_gap
from asl_fast.kernels.cosface_ratio.norm_ratio import norm_ratio

__all__ = ["MARGIN", "MARGIN_KINDS", "SCALE", "LossParts", "cosface_norm_ratio_loss", "mean_cross_entropy"]

SCALE, MARGIN = 64.0, 0.35


class LossParts(NamedTuple):
    """Scalars: the weighted sum to minimise, and its parts before weighting."""

    total: Tensor
    metric: Tensor
    ratio: Tensor
    gap: Tensor


def cosface_norm_ratio_loss(
    feature_ND: Tensor,
    weight_CD: Tensor,
    label_N: Tensor,
    pair_index_P2: Tensor,
    even_index_E2: Tensor | None = None,
    *,
    scale: float = SCALE,
    margin: float = MARGIN,
    margin_kind: str = "cosface",
    metric_weight: float = 1.0,
    ratio_weight: float = 1.0,
    gap_weight: float = 1.0,
) -> LossParts:
    """The loss of module docstring's formula, differentiable in feature_ND and weight_CD.

    feature_ND, weight_CD: floating point, raw (not normalised) rows.  label_N: int64, -1 = no class: the row
    takes no part in the metric.  pair_index_P2: int64 rows (i, j) of the batch, a pair with a -1 is left out;
    P may be 0.  even_index_E2: likewise, in any order.  Without labelled rows or pairs the part is 0, with
    gradient 0.
    margin_kind: cosface, arcface or softmax (margin 0), see margins.py.
    A row of zeros has no direction: its cosines are 0 and its gradient is 0. Ratios over 31 count as 31.
    Returns float32 scalars, float64 if an input is. The same input gives the same bits.
    Raises ValueError for a wrong shape, type, device or index, and for rows that are not finite.
    """
    check_scale(scale)
    check_margin(margin_kind, margin)
    check_rows(feature_ND, weight_CD)
    check_indexes("label_N", label_N, (len(feature_ND),), feature_ND.device)
    check_indexes("pair_index_P2", pair_index_P2, (None, 2), feature_ND.device)
    if even_index_E2 is None:
        even_index_E2 = pair_index_P2.new_empty(0, 2)
    check_indexes("even_index_E2", even_index_E2, (None, 2), feature_ND.device)
    other_N, target_N, norm_N, _ = class_softmax(
        feature_ND, weight_CD, label_N, float(scale), float(margin), margin_kind
    )
    metric = mean_cross_entropy(other_N, target_N, label_N)
    ratio = norm_ratio(norm_N, pair_index_P2)
    gap = norm_gap(norm_N, even_index_E2)
    return LossParts(metric_weight * metric + ratio_weight * ratio + gap_weight * gap, metric, ratio, gap)


def mean_cross_entropy(other_N: Tensor, target_N: Tensor, label_N: Tensor) -> Tensor:
    """The metric, from what `class_softmax` tells of all classes."""
    labelled_N = label_N >= 0
    entropy_N = torch.nn.functional.softplus(other_N - target_N, threshold=50)
    return torch.where(labelled_N, entropy_N, 0.0).sum() / labelled_N.sum().clamp_min(1)
