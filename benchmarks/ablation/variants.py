"""What is compared: the parts of the paper's table 2, and the ways up that the small recipe takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from asl_fast.recipes import SMALL
from asl_fast.training import TrainSettings

START = "start"  # the untrained model


@dataclass(frozen=True)
class Variant:
    """settings: None = not trained at all.  with_pairs: whether the hard-negative pairs are given."""

    name: str
    settings: TrainSettings | None
    with_pairs: bool = True


def variants(num_steps: int) -> list[Variant]:
    """Every variant, trained for num_steps; all but the last ones without what the paper does not have."""
    plain = dataclasses.replace(
        SMALL, num_steps=num_steps, gain_width=0, plain_over_edited=False, held_back_share=0.01,
        evaluate_every=0, save_every=100,
    )  # fmt: skip
    no_ratio = _loss(ratio_weight=0.0, gap_weight=0.0)
    own = _pairs(classes="own")
    one = _pairs(classes="one")
    small = dataclasses.replace(SMALL, num_steps=num_steps, held_back_share=0.01, evaluate_every=0)
    return [
        Variant(START, None),
        Variant("metric only", no_ratio(plain), with_pairs=False),
        Variant("crop ratio", plain, with_pairs=False),
        Variant("pairs as negatives, no ratio", no_ratio(own(plain))),
        Variant("pairs as positives, no ratio", no_ratio(one(plain))),
        Variant("triplet instead of ratio", _loss(triplet_weight=1.0)(no_ratio(own(plain)))),
        Variant("full, pairs as negatives", own(plain)),
        Variant("full, pairs as positives", one(plain)),
        Variant("full, one-way term", _pairs(term="one-way")(one(plain))),
        Variant("full, random direction", _pairs(term="random")(one(plain))),
        Variant("full, lambda 0.1", _loss(metric_weight=0.1)(own(plain))),
        Variant("full, lambda 1", _loss(metric_weight=1.0)(own(plain))),
        Variant("full, lambda 10", _loss(metric_weight=10.0)(own(plain))),
        Variant("with plain over edited", dataclasses.replace(own(plain), plain_over_edited=True)),
        Variant("with a gain", dataclasses.replace(own(plain), gain_width=SMALL.gain_width)),
        Variant("small recipe", small),
        Variant("small recipe, no hidden copies", dataclasses.replace(small, edit_recipe="disc")),
    ]


def _loss(**change: float) -> Callable[[TrainSettings], TrainSettings]:
    return lambda settings: dataclasses.replace(
        settings,
        loss=dataclasses.replace(settings.loss, **change),  # type: ignore[arg-type]
    )


def _pairs(**change: str) -> Callable[[TrainSettings], TrainSettings]:
    return lambda settings: dataclasses.replace(
        settings,
        pairs=dataclasses.replace(settings.pairs, **change),  # type: ignore[arg-type]
    )
