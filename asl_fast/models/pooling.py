"""Generalised-mean pooling: between the mean (p = 1) and the maximum (p large) of a feature map."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GeM(nn.Module):
    """pooled_BC = (mean over places of max(x, eps)^p)^(1/p), p trainable (Radenovic et al. 2018, eq. 3).

    It lets the few places that answer strongly speak, so a copy that keeps a part of a picture keeps
    most of its descriptor. Always in float32: powers overflow half types.
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.full((1,), float(p)))
        self.eps = eps

    def forward(self, feature_BCP: Tensor) -> Tensor:
        """feature_BCP: B pictures, C channels, P places. Returns (B, C), float32."""
        with torch.autocast(feature_BCP.device.type, enabled=False):
            p = self.p.float()
            raised_BCP = feature_BCP.float().clamp(min=self.eps).pow(p)
            return raised_BCP.mean(dim=2).pow(1.0 / p)
