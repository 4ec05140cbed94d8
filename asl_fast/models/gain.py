"""How long a row should be, as a small network of its own.

In the paper the norm is whatever length the neck's row has: direction and norm are made by one linear map of
the same features. A gain leaves the direction, and with it every cosine, as it is, and lets the norm depend
on the features in another way: row' = row * exp(g(row)).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Gain(nn.Module):
    """row_BD -> row_BD * exp(g), g one number a row from two layers, in float32. g is 0 at the start."""

    def __init__(self, num_dims: int, width: int) -> None:
        super().__init__()
        self.into = nn.Linear(num_dims, width)
        self.out = nn.Linear(width, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, row_BD: Tensor) -> Tensor:
        with torch.autocast(row_BD.device.type, enabled=False):
            unit_BD = nn.functional.normalize(row_BD, dim=1) * row_BD.shape[1] ** 0.5
            gain_B1: Tensor = self.out(nn.functional.gelu(self.into(unit_BD)))
            return row_BD * gain_B1.exp()
