"""A descriptor measured on the photos that were held back: edited copies and reversed crops as queries."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from asl_fast.edits import RECIPES, Chain, Pixels, nested_crops
from asl_fast.images import Resize
from asl_fast.indexes import Index
from asl_fast.records import Candidates, norms
from asl_fast.reports.metrics import micro_average_precision
from asl_fast.training.photos import Photos
from asl_fast.training.rows import rows_of

_EVALUATION = 4  # what a generator is for: this stream is never used to train
COPIES_PER_PHOTO = 3
STRENGTH = 0.8
_EDITS = RECIPES["common"]  # whatever a model was trained with: numbers of two runs can be compared
_NEAREST = 20


@dataclass(frozen=True, kw_only=True)
class FoldReport:
    """uap: all pairs by cosine.  uap_filtered: pairs with |query| > |reference| left out, as search does.

    Right directions, as shares: copies_below: |edited copy| < |original|; reversed_above: |whole photo| >
    |its crop|, the reference; crops_below: |plain crop| < |photo it was cut from|.
    """

    uap: float
    uap_filtered: float
    copies_below: float
    reversed_above: float
    crops_below: float
    num_queries: int
    num_references: int

    @property
    def directions(self) -> float:
        """Mean of the three shares; norms drawn at random give 1/2."""
        return (self.copies_below + self.reversed_above + self.crops_below) / 3

    def to_dict(self) -> dict[str, float]:
        return dataclasses.asdict(self)


class FoldSet(NamedTuple):
    """Pictures of one evaluation. reference_Q: row of the reference that query is a copy of, -1 = of none.

    Half of the photos are references and are asked for by edited copies; of the others a crop is the
    reference and the whole photo asks, so a symmetric measure would be wrong about them. plain_N: a crop of
    every photo, without edits; whole_N: the photo.
    """

    references: list[Pixels]
    queries: list[Pixels]
    reference_Q: NDArray[np.int64]
    source_Q: NDArray[np.int64]
    plain: list[Pixels]
    whole: list[Pixels]


def make_fold_set(photos: Photos, seed: int) -> FoldSet:
    """The same pictures for the same photos and seed."""
    rng = np.random.default_rng([seed, _EVALUATION])
    fold = FoldSet([], [], np.empty(0, np.int64), np.empty(0, np.int64), [], [])
    copy_of, source_of = [], []
    for row, number in enumerate(rng.permutation(len(photos))):
        photo = photos[int(number)]
        small = Chain((nested_crops(rng, 1, whole_share=0)[0],)).apply(photo, photos)
        fold.plain.append(small)
        fold.whole.append(photo)
        reverse = row % 2 == 1
        fold.references.append(small if reverse else photo)
        for query in [photo] if reverse else _edited_copies(photo, photos, rng):
            fold.queries.append(query)
            copy_of.append(-1 if reverse else row)
            source_of.append(row)
    return fold._replace(reference_Q=np.array(copy_of), source_Q=np.array(source_of))


def evaluate_fold(descriptor: nn.Module, resize: Resize, fold: FoldSet, device: torch.device) -> FoldReport:
    """Search the fold's references for its queries, with and without the ratio filter at tau = 1."""
    query_QD, ref_ND = (
        rows_of(descriptor, resize, images, device) for images in (fold.queries, fold.references)
    )
    plain_norm_N, whole_norm_N = (
        norms(rows_of(descriptor, resize, images, device)) for images in (fold.plain, fold.whole)
    )
    index = Index(ref_ND, device="cpu", grouping="never")
    nearest = min(_NEAREST, len(ref_ND))
    ratio_Q = norms(query_QD) / norms(ref_ND)[fold.source_Q]
    copy_Q = fold.reference_Q >= 0
    return FoldReport(
        uap=_uap(index.search(query_QD, k=nearest, direction="both"), fold.reference_Q),
        uap_filtered=_uap(index.search(query_QD, k=nearest, tau=1.0), fold.reference_Q),
        copies_below=float((ratio_Q[copy_Q] < 1).mean()),
        reversed_above=float((ratio_Q[~copy_Q] > 1).mean()),
        crops_below=float((plain_norm_N < whole_norm_N).mean()),
        num_queries=len(query_QD),
        num_references=len(ref_ND),
    )


def _edited_copies(photo: Pixels, photos: Photos, rng: np.random.Generator) -> Iterator[Pixels]:
    for _ in range(COPIES_PER_PHOTO):
        crop = nested_crops(rng, 1, whole_share=0.3)[0]
        yield _EDITS.sample(rng, STRENGTH, crop=crop, size=(photo.shape[1], photo.shape[0])).apply(
            photo, photos
        )


def _uap(found: Candidates, reference_Q: NDArray[np.int64]) -> float:
    """Micro average precision of all pairs found; every query of a copy has one true reference."""
    query_QK = np.broadcast_to(np.arange(len(reference_Q))[:, None], found.ref_row_QK.shape)
    kept_QK = found.ref_row_QK >= 0
    right_QK = found.ref_row_QK == reference_Q[query_QK]
    return float(
        micro_average_precision(found.score_QK[kept_QK], right_QK[kept_QK], int((reference_Q >= 0).sum()))
    )
