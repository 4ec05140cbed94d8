"""CosFace over one class per training image, plus the norm ratio of pairs that are ordered by content.

    metric = mean over rows n with label y >= 0 of  -log softmax_c(scale * (cos(x_n, w_c) - margin [c=y]))[y]
    ratio  = mean over pairs (i, j) of  exp(1 - |x_i| / |x_j|),   i holds more content than j
    total  = metric_weight * metric + ratio_weight * ratio

Why it exists: it is the objective of asymmetrical-similarity learning (AAAI 2023, eq. 2; metric_weight is its
lambda). CosFace sees only directions, so the norm is free to say how much content a picture still holds.
What bounds its speed: reading the class weights (C x D); the N x C logits should never be written.

Shapes: N rows in a batch, C classes, D dimensions, P pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from asl_fast.kernels.cosface_ratio.reference import cosface_norm_ratio_reference

__all__ = ["LossParts", "cosface_norm_ratio_loss"]

SCALE, MARGIN = 64.0, 0.35
_WHO = "cosface_norm_ratio_loss"


class LossParts(NamedTuple):
    """Scalars: the weighted sum to minimise, and its two parts before weighting."""

    total: Tensor
    metric: Tensor
    ratio: Tensor


def cosface_norm_ratio_loss(
    feature_ND: Tensor,
    weight_CD: Tensor,
    label_N: Tensor,
    pair_index_P2: Tensor,
    *,
    scale: float = SCALE,
    margin: float = MARGIN,
    metric_weight: float = 1.0,
    ratio_weight: float = 1.0,
) -> LossParts:
    """The loss of module docstring's formula, differentiable in feature_ND and weight_CD.

    feature_ND, weight_CD: floating point, raw (not normalised) rows.  label_N: int64, -1 = no class: the row
    takes no part in the metric.  pair_index_P2: int64 rows (i, j) of the batch, a pair with a -1 is left out;
    P may be 0.  Without labelled rows or pairs the part is 0, with gradient 0.
    A row of zeros has no direction: its cosines are 0 and its gradient is 0. Ratios over 31 count as 31.
    Returns float32 scalars, float64 if an input is. Raises ValueError for a wrong shape, type or index.
    """
    _check_rows(feature_ND, weight_CD)
    _check_indexes("label_N", label_N, (len(feature_ND),), len(weight_CD), feature_ND.device)
    _check_indexes("pair_index_P2", pair_index_P2, (None, 2), len(feature_ND), feature_ND.device)
    for name, value in (("scale", scale), ("margin", margin)):
        if not 0 <= value < float("inf"):
            raise ValueError(f"{_WHO}: {name} must be finite and not negative, got {value}")
    return LossParts(
        *cosface_norm_ratio_reference(
            feature_ND,
            weight_CD,
            label_N,
            pair_index_P2,
            scale=scale,
            margin=margin,
            metric_weight=metric_weight,
            ratio_weight=ratio_weight,
        )
    )


def _check_rows(feature_ND: Tensor, weight_CD: Tensor) -> None:
    for name, value in (("feature_ND", feature_ND), ("weight_CD", weight_CD)):
        if value.ndim != 2 or not value.is_floating_point() or 0 in value.shape:
            raise ValueError(
                f"{_WHO}: {name} must be floating point with two dimensions, none of them 0, "
                f"got {value.dtype} of shape {tuple(value.shape)}"
            )
    if feature_ND.shape[1] != weight_CD.shape[1]:
        raise ValueError(
            f"{_WHO}: feature_ND has {feature_ND.shape[1]} columns but weight_CD has {weight_CD.shape[1]}; "
            "both must have the descriptor's number of dimensions"
        )
    if feature_ND.device != weight_CD.device:
        raise ValueError(f"{_WHO}: feature_ND is on {feature_ND.device} but weight_CD on {weight_CD.device}")


def _check_indexes(
    name: str, index: Tensor, shape: tuple[int | None, ...], limit: int, device: torch.device
) -> None:
    fits = index.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, index.shape, strict=True)
    )
    if not fits or index.dtype != torch.int64:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(
            f"{_WHO}: {name} must be int64 of shape ({wanted}), got {index.dtype} {tuple(index.shape)}"
        )
    if index.device != device:
        raise ValueError(f"{_WHO}: {name} is on {index.device} but feature_ND on {device}")
    if index.numel() == 0:
        return
    low, high = int(index.min()), int(index.max())
    if low < -1 or high >= limit:
        raise ValueError(
            f"{_WHO}: {name} must lie in -1..{limit - 1} (-1 = none), got {low if low < -1 else high}"
        )
