"""Which views of a batch stand in the relation "holds more content than", and which hold as much."""

from __future__ import annotations

import torch
from torch import Tensor

ORDERED_BY = ("both", "area", "content")
_MORE = 1 + 1e-6  # less than this is rounding: two crops of the same pixels hold the same
_EVEN = 0.9  # shares of content at least this close count as the same share


def content_pairs(nest_B: Tensor, area_B: Tensor, content_B: Tensor, ordered_by: str = "both") -> Tensor:
    """int64 (P, 2): every ordered pair (i, j) of one nest where view i holds more content than j.

    nest_B: int64, views cut out of one another share a nest; -1 = none.  area_B: share of the photo that the
    crop covers.  content_B: share of the photo that can still be seen, `Trace.content`.  Ties make no pair.

    ordered_by: "area" is the paper's: i's crop is the larger one. Crops are nested, so before any edit i
    shows all that j does; but half pasted over it may well hold less.  "content" is what the norm should
    tell, edits included; but with more content i is not always a superset: its middle may be hidden, of
    which j is a crop.  "both" asks for both orders at once: fewer pairs, none of them in doubt.
    """
    if ordered_by not in ORDERED_BY:
        raise ValueError(f"loss: ordered_by must be one of {', '.join(ORDERED_BY)}, got {ordered_by!r}")
    more_BB = (nest_B[:, None] == nest_B[None, :]) & (nest_B >= 0)[:, None]
    if ordered_by != "content":
        more_BB &= area_B[:, None] > area_B[None, :]
    if ordered_by != "area":
        more_BB &= content_B[:, None] > _MORE * content_B[None, :]
    return torch.nonzero(more_BB)


def plain_pairs(nest_B: Tensor, plain_B: Tensor, edited_B: Tensor) -> Tensor:
    """int64 (P, 2): pairs (i, j) of one nest where view i is the photo as it is and view j was edited.

    plain_B, edited_B: bool. Blur, noise, colours and the like throw away content that no area tells of.
    """
    same_BB = (nest_B[:, None] == nest_B[None, :]) & (nest_B >= 0)[:, None]
    return torch.nonzero(same_BB & plain_B[:, None] & edited_B[None, :])


def over_pairs(nest_B: Tensor, content_B: Tensor, over_H2: Tensor) -> Tensor:
    """int64 (P, 2): pairs (i, j) of views of two photos, of which the first is no copy of the second.

    over_H2: int64, nests (L, F) of hard-negative pairs: L is similar to F and no copy of it, so its norm
    should be the larger (the paper's section 4.3). That is said of whole photos; of views it is taken to hold
    where i keeps at least as large a share of L as j keeps of F. A share is measured against the fullest view
    of the photo in the batch.
    """
    share_B = _share(nest_B, content_B)
    return _across(nest_B, over_H2, share_B[:, None] >= share_B[None, :])


def even_pairs(nest_B: Tensor, content_B: Tensor, even_H2: Tensor) -> Tensor:
    """int64 (E, 2): pairs (i, j) of views of two photos, neither of which is a copy of the other.

    even_H2: int64, pairs of nests. Only views that keep about the same share of their photo are compared.
    """
    share_B = _share(nest_B, content_B)
    less_BB = torch.minimum(share_B[:, None], share_B[None, :])
    more_BB = torch.maximum(share_B[:, None], share_B[None, :])
    return _across(nest_B, even_H2, less_BB >= _EVEN * more_BB)


def _across(nest_B: Tensor, nests_H2: Tensor, holds_BB: Tensor) -> Tensor:
    """Pairs of views of the two nests for which the relation holds, each once."""
    first_HB, second_HB = (nest_B[None, :] == nests_H2[:, side : side + 1] for side in (0, 1))
    return torch.nonzero((first_HB[:, :, None] & second_HB[:, None, :]).any(0) & holds_BB)


def _share(nest_B: Tensor, content_B: Tensor) -> Tensor:
    same_BB = nest_B[:, None] == nest_B[None, :]
    fullest_B = torch.where(same_BB, content_B[None, :], 0.0).amax(1)
    return content_B / torch.where(fullest_B > 0, fullest_B, 1.0)
