"""What a training recipe says: everything that shapes the weights, apart from photos and seed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from asl_fast.edits import RECIPES
from asl_fast.losses import ORDERED_BY, LossSettings

PAIR_CLASSES = ("one", "own")
PAIR_TERMS = ("even", "one-way", "random")


@dataclass(frozen=True, kw_only=True)
class PairSettings:
    """How hard-negative pairs are trained on, where there are any.

    per_batch: of the batch's identities, twice as many are the members of pairs.
    classes: "one" makes both photos one class of the metric (the paper's ASL-Positive, its winner), "own"
    keeps them apart (ASL-Negative).  most_per_class: pairs that share photos join into one class up to this
    many photos; a pair that would pass that leaves its photos in the classes they have.
    term: of pairs that have no direction, since neither photo is a copy of the other. "even" asks for equal
    norms, |log ratio|, which is what holds; "one-way" takes b to be the one that is no copy (the paper's
    latter photo); "random" draws the direction anew each time.
    """

    per_batch: int = 2
    classes: str = "one"
    most_per_class: int = 8
    term: str = "even"

    def __post_init__(self) -> None:
        if self.per_batch < 0 or self.most_per_class < 2:
            raise ValueError(
                "recipe: pairs.per_batch must be 0 or more and pairs.most_per_class 2 or more, "
                f"got {self.per_batch} and {self.most_per_class}"
            )
        if self.classes not in PAIR_CLASSES:
            raise ValueError(
                f"recipe: pairs.classes must be one of {', '.join(PAIR_CLASSES)}, got {self.classes!r}"
            )
        if self.term not in PAIR_TERMS:
            raise ValueError(f"recipe: pairs.term must be one of {', '.join(PAIR_TERMS)}, got {self.term!r}")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """start: model to start from.  edge_px: of the trained model, 0 = as the start model's.

    view_edge_px: of the views it learns from, 0 = edge_px. Crops show things larger than whole photos do, so
    a model answers best at a larger edge than it learned at (Touvron et al. 2019); small views are fast, too.

    A batch is num_identities photos x num_views nested views; the members of pairs are among them. Several
    processes divide it among them. lr rises
    over the first warmup_share of the steps, stays until flat_until, then falls to 0 along a cosine.
    class_lr: of the class weights.
    frozen_share: the first parameter tensors of the backbone, in its own order, that keep their values.
    frozen_statistics: batch norms, the neck's too, use their stored means (short runs see few pictures).
    clip_norm: of the gradient, 0 = off.  bf16: mixed precision, on a GPU or on a CPU that has
    instructions for it (AVX512-BF16).
    fused_class_step: step the class weights within the backward pass, so that no gradient of theirs is ever
    stored; gradients can't be clipped then.
    least_area, whole_share, same_share: see `edits.nested_crops`.  edit_share: of the views that are edited.
    edit_recipe: which edits, see `edits.RECIPES`.  least_strength: the strength of each view's edits is drawn
    between this share of edit_strength and all of it.
    plain_first: the first view of every photo, not of those in pairs only, is the photo as it is.
    ordered_by: what makes one view hold more than another, see `losses.content_pairs`.
    plain_over_edited: a photo as it is also holds more than each edited view of it, whatever the content.
    gain_width: of the trained model, see `models/gain.py`; 0 = as the start model's.
    save_every, evaluate_every: steps, 0 = only at the end.
    """

    start: str = "imagenet"
    edge_px: int = 0
    view_edge_px: int = 0
    num_steps: int
    num_identities: int = 16
    num_views: int = 4
    optimizer: str = "adamw"
    lr: float = 3e-4
    class_lr: float = 1e-2
    weight_decay: float = 0.0
    warmup_share: float = 0.1
    flat_until: float = 0.4
    ema_decay: float = 0.99
    frozen_share: float = 0.0
    frozen_statistics: bool = True
    clip_norm: float = 0.0
    fused_class_step: bool = False
    bf16: bool = False
    loss: LossSettings = field(default_factory=LossSettings)
    least_area: float = 0.2
    whole_share: float = 0.5
    same_share: float = 0.0
    edit_share: float = 0.6
    edit_strength: float = 0.8
    least_strength: float = 1.0
    edit_recipe: str = "common"
    plain_first: bool = False
    ordered_by: str = "both"
    plain_over_edited: bool = False
    gain_width: int = 0
    pairs: PairSettings = field(default_factory=PairSettings)
    held_back_share: float = 0.2
    save_every: int = 100
    evaluate_every: int = 0

    def __post_init__(self) -> None:
        for name in ("num_steps", "num_identities", "num_views"):
            if getattr(self, name) < 1:
                raise ValueError(f"recipe: {name} must be 1 or more, got {getattr(self, name)}")
        if self.optimizer not in ("adam", "adamw"):
            raise ValueError(f"recipe: optimizer must be adam or adamw, got {self.optimizer!r}")
        for name in (
            "edit_share",
            "edit_strength",
            "least_strength",
            "same_share",
            "frozen_share",
            "ema_decay",
            "warmup_share",
            "flat_until",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"recipe: {name} must be in [0, 1], got {getattr(self, name)}")
        if self.edit_recipe not in RECIPES:
            raise ValueError(
                f"recipe: edit_recipe must be one of {', '.join(RECIPES)}, got {self.edit_recipe!r}"
            )
        if self.ordered_by not in ORDERED_BY:
            raise ValueError(
                f"recipe: ordered_by must be one of {', '.join(ORDERED_BY)}, got {self.ordered_by!r}"
            )
        if not 0 < self.held_back_share < 1:
            raise ValueError(f"recipe: held_back_share must be in (0, 1), got {self.held_back_share}")
        if self.fused_class_step and self.clip_norm:
            raise ValueError(
                f"recipe: clip_norm must be 0 with fused_class_step, got {self.clip_norm}; the gradient "
                "of the class weights never exists as a whole"
            )
        if not 0 <= self.warmup_share <= self.flat_until:
            raise ValueError(
                f"recipe: warmup_share {self.warmup_share} must not pass flat_until {self.flat_until}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for config.json."""
        return dataclasses.asdict(self)
