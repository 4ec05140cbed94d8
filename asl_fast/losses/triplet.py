"""The triplet loss, which the norm ratio is compared with (table 2 of the paper)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TRIPLET_MARGIN = 0.3


def batch_hard_triplet(row_BD: Tensor, label_B: Tensor, margin: float = TRIPLET_MARGIN) -> Tensor:
    """mean over rows of max(0, margin + farthest of its class - nearest of another), distance 1 - cosine.

    Hermans et al. 2017, eq. 5 (batch hard).  label_B: int64, -1 = none: neither anchor nor anything else.
    0 where no row has both a partner and an opponent.
    """
    unit_BD = nn.functional.normalize(row_BD.float(), dim=1)
    distance_BB = 1 - unit_BD @ unit_BD.T
    known_B = label_B >= 0
    known_BB = known_B[:, None] & known_B[None, :]
    same_BB = (label_B[:, None] == label_B[None, :]) & known_BB
    same_BB.fill_diagonal_(False)
    other_BB = (label_B[:, None] != label_B[None, :]) & known_BB
    farthest_B = torch.where(same_BB, distance_BB, -torch.inf).amax(1)
    nearest_B = torch.where(other_BB, distance_BB, torch.inf).amin(1)
    anchors_B = same_BB.any(1) & other_BB.any(1)
    if not anchors_B.any():
        return row_BD.sum() * 0.0
    return (margin + farthest_B[anchors_B] - nearest_B[anchors_B]).clamp(min=0).mean()
