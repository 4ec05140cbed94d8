"""The objective of asymmetrical-similarity learning as a module that owns the class weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asl_fast.kernels.cosface_ratio import MARGIN, SCALE, LossParts, cosface_norm_ratio_loss
from asl_fast.losses.pairs import content_pairs


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """total = metric_weight * CosFace(scale, margin) + ratio_weight * norm ratio.

    margin_kind: cosface, arcface or softmax, see `kernels/cosface_ratio/margins.py`.
    metric_weight is the lambda of the paper's eq. 2, whose value is not published.
    """

    scale: float = SCALE
    margin: float = MARGIN
    margin_kind: str = "cosface"
    metric_weight: float = 1.0
    ratio_weight: float = 1.0


class AslLoss(nn.Module):
    """CosFace over `num_classes` photos, plus the norm ratio of nested views.

    weight_CD starts as random directions; `start_at` sets it to the photos' own rows.
    """

    def __init__(self, num_classes: int, num_dims: int, settings: LossSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or LossSettings()
        self.weight_CD = nn.Parameter(torch.randn(num_classes, num_dims) / num_dims**0.5)

    @torch.no_grad()
    def start_at(self, row_CD: Tensor) -> None:
        """Start every class at the direction of its photo: the first steps then already tell photos apart."""
        if row_CD.shape != self.weight_CD.shape:
            raise ValueError(
                f"loss: start rows must have shape {tuple(self.weight_CD.shape)}, got {tuple(row_CD.shape)}"
            )
        self.weight_CD.copy_(nn.functional.normalize(row_CD))

    def forward(
        self, row_BD: Tensor, label_B: Tensor, nest_B: Tensor, area_B: Tensor, visible_B: Tensor
    ) -> LossParts:
        """row_BD: raw rows.  label_B: int64 class, -1 = none.  For the rest see `content_pairs`."""
        return cosface_norm_ratio_loss(
            row_BD,
            self.weight_CD,
            label_B,
            content_pairs(nest_B, area_B, visible_B),
            scale=self.settings.scale,
            margin=self.settings.margin,
            margin_kind=self.settings.margin_kind,
            metric_weight=self.settings.metric_weight,
            ratio_weight=self.settings.ratio_weight,
        )
