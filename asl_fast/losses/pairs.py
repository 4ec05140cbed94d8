"""Which views of a batch stand in the relation "holds more content than"."""

from __future__ import annotations

import torch
from torch import Tensor


def content_pairs(nest_B: Tensor, area_B: Tensor, visible_B: Tensor) -> Tensor:
    """int64 (P, 2): every ordered pair (i, j) of one nest where view i surely holds more content than j.

    nest_B: int64, views cut out of one another share a nest; -1 = none.  area_B: share of the photo that the
    crop covers.  visible_B: share of the crop that no edit hid.
    i's crop must be the larger one, and i must also show more of the photo (area x visible): a large view
    that is half pasted over is no superset of a small clean one. Ties make no pair.
    """
    shown_B = area_B * visible_B
    same_BB = (nest_B[:, None] == nest_B[None, :]) & (nest_B >= 0)[:, None]
    more_BB = (area_B[:, None] > area_B[None, :]) & (shown_B[:, None] > shown_B[None, :])
    return torch.nonzero(same_BB & more_BB)
