"""What the loss asks of its arguments: each broken rule is one line that names argument, rule and value."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from asl_fast.kernels.cosface_ratio.margins import MARGIN_KINDS

_WHO = "cosface_norm_ratio_loss"


def check_scale(scale: float) -> None:
    """ValueError unless 0 <= scale < inf."""
    if not 0 <= scale < math.inf:
        raise ValueError(f"{_WHO}: scale must be finite and not negative, got {scale}")


def check_margin(kind: str, margin: float) -> None:
    """ValueError for an unknown kind, or a margin that the kind can't take."""
    if kind not in MARGIN_KINDS:
        raise ValueError(f"{_WHO}: margin_kind must be one of {', '.join(MARGIN_KINDS)}, got {kind!r}")
    if not 0 <= margin < math.inf:
        raise ValueError(f"{_WHO}: margin must be finite and not negative, got {margin}")
    if kind == "arcface" and margin > math.pi / 2:
        raise ValueError(f"{_WHO}: margin of arcface is an angle from 0 to pi / 2, got {margin}")
    if kind == "softmax" and margin != 0:
        raise ValueError(
            f"{_WHO}: margin must be 0 with margin_kind 'softmax', got {margin}; "
            "choose cosface or arcface for a margin"
        )


def check_rows(feature_ND: Tensor, weight_CD: Tensor) -> None:
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


def check_indexes(name: str, index: Tensor, shape: tuple[int | None, ...], device: torch.device) -> None:
    """Shape, type and device; the values are looked at where the operator runs."""
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


def check_range(name: str, index: Tensor, limit: int) -> None:
    """ValueError unless all of `index` lies in -1..limit - 1."""
    if index.numel() == 0:
        return
    low, high = torch.stack(torch.aminmax(index)).tolist()
    if low < -1 or high >= limit:
        raise ValueError(
            f"{_WHO}: {name} must lie in -1..{limit - 1} (-1 = none), got {low if low < -1 else high}"
        )


def check_norms(name: str, norm_R: Tensor) -> None:
    finite_R = norm_R.isfinite()
    if not finite_R.all():
        row = int(finite_R.logical_not().nonzero()[0])
        raise ValueError(
            f"{_WHO}: {name} must be finite, and short enough for squares to be too, "
            f"got a norm of {norm_R[row].item()} in row {row}"
        )
