"""A batch as training makes it: four nested views a photo, rows near their class, every row with a label."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.loss.cases import Case

NUM_VIEWS = 4


class Batch(NamedTuple):
    """Leaves that take a gradient, and indexes."""

    feature_ND: Tensor
    weight_CD: Tensor
    label_N: Tensor
    pair_index_P2: Tensor


def batch(case: Case, num_classes: int) -> Batch:
    """The same numbers for the same case and number of classes, on its device."""
    dtype = torch.bfloat16 if case.device == "cuda" else torch.float32
    generator = torch.Generator(case.device).manual_seed(0)
    weight_CD = torch.randn(num_classes, case.num_dims, device=case.device, dtype=dtype, generator=generator)
    num_photos = case.num_rows // NUM_VIEWS
    photo_V = torch.randint(num_classes, (num_photos,), device=case.device, generator=generator)
    label_N = photo_V.repeat_interleave(NUM_VIEWS)
    noise_ND = torch.randn(case.num_rows, case.num_dims, device=case.device, generator=generator)
    feature_ND = (3 * noise_ND + weight_CD[label_N].float()).to(dtype)
    above_62 = torch.triu_indices(NUM_VIEWS, NUM_VIEWS, 1, device=case.device).T
    first_V11 = torch.arange(0, case.num_rows, NUM_VIEWS, device=case.device)[:, None, None]
    return Batch(
        feature_ND.requires_grad_(),
        weight_CD.requires_grad_(),
        label_N,
        (first_V11 + above_62).reshape(-1, 2),
    )
