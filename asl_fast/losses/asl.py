"""The objective of asymmetrical-similarity learning as a module that owns the class weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asl_fast.kernels.cosface_ratio import MARGIN, SCALE, LossParts, cosface_norm_ratio_loss
from asl_fast.losses.class_step import ClassStep
from asl_fast.losses.divided import divided_loss
from asl_fast.losses.ranks import Ranks, gather_labels, gather_rows
from asl_fast.losses.triplet import batch_hard_triplet


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """total = metric_weight * CosFace(scale, margin) + ratio_weight * norm ratio + gap_weight * norm gap.

    margin_kind: cosface, arcface or softmax, see `kernels/cosface_ratio/margins.py`.
    The gap is |log ratio| of pairs where neither picture is a copy of the other.
    triplet_weight: of a batch-hard triplet loss beside these, see `triplet.py`.
    metric_weight is the lambda of the paper's eq. 2, whose value is not published.
    negative_share: of the classes that no row of a training batch has, the share it is compared with.
    """

    scale: float = SCALE
    margin: float = MARGIN
    margin_kind: str = "cosface"
    metric_weight: float = 1.0
    ratio_weight: float = 1.0
    gap_weight: float = 1.0
    triplet_weight: float = 0.0
    negative_share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.negative_share <= 1:
            raise ValueError(f"loss: negative_share must be in (0, 1], got {self.negative_share}")


class AslLoss(nn.Module):
    """CosFace over `num_classes` photos, plus the norm ratio of pairs of views.

    weight_CD starts as random directions; `start_at` sets it to the photos' own rows.
    ranks: if given, weight_CD holds this rank's classes only, see `Ranks`.
    class_step: if given, the backward pass steps weight_CD and leaves no gradient, see `class_step.py`.
    """

    def __init__(
        self,
        num_classes: int,
        num_dims: int,
        settings: LossSettings | None = None,
        *,
        ranks: Ranks | None = None,
        class_step: ClassStep | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings or LossSettings()
        self.ranks = ranks or Ranks(num_classes)
        if self.ranks.num_classes != num_classes:
            raise ValueError(f"loss: ranks divide {self.ranks.num_classes} classes, got {num_classes}")
        seed = int(torch.randint(2**62, ())) + self.ranks.rank  # ranks are often given one and the same seed
        row_CD = torch.randn(
            self.ranks.stop - self.ranks.first, num_dims, generator=torch.Generator().manual_seed(seed)
        )
        self.weight_CD = nn.Parameter(row_CD / num_dims**0.5)
        self.class_step = class_step
        if class_step is not None:
            class_step.prepare(self.weight_CD)

    @torch.no_grad()
    def start_at(self, row_CD: Tensor) -> None:
        """Start this rank's classes at the directions of their photos: they are told apart at once."""
        if row_CD.shape != self.weight_CD.shape:
            raise ValueError(
                f"loss: start rows must have shape {tuple(self.weight_CD.shape)}, got {tuple(row_CD.shape)}"
            )
        self.weight_CD.copy_(nn.functional.normalize(row_CD))

    def forward(
        self, row_BD: Tensor, label_B: Tensor, pair_index_P2: Tensor, even_index_E2: Tensor | None = None
    ) -> LossParts:
        """row_BD: raw rows.  label_B: int64 class, -1 = none.  Pairs of rows: see `pairs.py`."""
        formula = dataclasses.asdict(self.settings)
        negative_share = formula.pop("negative_share")
        triplet_weight = formula.pop("triplet_weight")
        if not self.training:
            negative_share = 1.0  # as drop-out does
        if self.ranks.group is None and self.class_step is None and negative_share == 1:
            parts = cosface_norm_ratio_loss(
                row_BD, self.weight_CD, label_B, pair_index_P2, even_index_E2, **formula
            )
        else:
            parts = divided_loss(
                row_BD,
                self.weight_CD,
                label_B,
                pair_index_P2,
                even_index_E2,
                **formula,
                ranks=self.ranks,
                negative_share=negative_share,
                step=self.class_step,
            )
        if triplet_weight:
            parts = parts._replace(total=parts.total + triplet_weight * self._triplet(row_BD, label_B))
        return parts

    def _triplet(self, row_BD: Tensor, label_B: Tensor) -> Tensor:
        """Of all ranks' rows: a triplet's three may lie on three of them."""
        ranks = self.ranks
        if ranks.group is None:
            return batch_hard_triplet(row_BD, label_B)
        num_rows_W = ranks.gather(torch.tensor(len(row_BD), device=row_BD.device)).tolist()
        row_ND = gather_rows(row_BD, ranks, num_rows_W)
        whole = batch_hard_triplet(row_ND, gather_labels(label_B, ranks, num_rows_W))
        share = whole / ranks.world_size  # each rank computes all of it, and their gradients are summed
        return share + (whole - share).detach()
