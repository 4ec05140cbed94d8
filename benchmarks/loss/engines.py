"""Ours, and the peers: each makes a function that returns the loss of a batch, ready for backward().

Peers that don't know the whole formula compute the part they know: `formula` says which.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch._inductor.config
from torch import Tensor
from torch.nn import functional

from benchmarks.loss.data import Batch

Loss = Callable[[], Tensor]
SCALE, MARGIN = 64.0, 0.35


class Engine(NamedTuple):
    """formula: full (CosFace and norm ratio), cosface, or softmax (normalised, without margin)."""

    formula: str
    make: Callable[[Batch], Loss]
    on_cpu: bool = True


def ours(batch: Batch) -> Loss:
    from asl_fast.kernels.cosface_ratio import cosface_norm_ratio_loss

    return lambda: cosface_norm_ratio_loss(*batch, scale=SCALE, margin=MARGIN).total


def eager(batch: Batch) -> Loss:
    return lambda: plain(*batch)


def compiled(batch: Batch) -> Loss:
    torch._inductor.config.compile_threads = 1  # one small graph needs no pool of processes
    loss = torch.compile(plain, fullgraph=True, dynamic=False)
    return lambda: loss(*batch)


def plain(feature_ND: Tensor, weight_CD: Tensor, label_N: Tensor, pair_index_P2: Tensor) -> Tensor:
    """The formula as one would write it down; every row has a label and every pair is valid."""
    norm_N = feature_ND.float().norm(dim=1)
    cosine_NC = functional.linear(functional.normalize(feature_ND), functional.normalize(weight_CD)).float()
    label_N1 = label_N[:, None]
    logit_NC = SCALE * cosine_NC.scatter(1, label_N1, cosine_NC.gather(1, label_N1) - MARGIN)
    more_P, less_P = norm_N[pair_index_P2].unbind(1)
    return functional.cross_entropy(logit_NC, label_N) + (1 - more_P / less_P).exp().mean()


def pytorch_metric_learning(batch: Batch) -> Loss:
    from pytorch_metric_learning.losses import CosFaceLoss

    num_classes, num_dims = batch.weight_CD.shape
    loss = CosFaceLoss(1, num_dims, margin=MARGIN, scale=SCALE)
    loss.num_classes = num_classes
    del loss.W
    # It keeps its weights as (D, C) and multiplies by their transpose: ours, transposed, is the same product.
    loss.W = batch.weight_CD.T
    loss.cast_types = lambda _dtype, _device: None  # else it would cut the weights off from their gradient
    return lambda: loss(batch.feature_ND, batch.label_N)


def cut_cross_entropy(batch: Batch) -> Loss:
    from cut_cross_entropy import linear_cross_entropy

    def loss() -> Tensor:
        row_ND = functional.normalize(batch.feature_ND) * math.sqrt(SCALE)
        class_CD = functional.normalize(batch.weight_CD) * math.sqrt(SCALE)
        return linear_cross_entropy(row_ND, class_CD, batch.label_N, filter_eps=None, impl="cce")

    return loss


def liger_kernel(batch: Batch) -> Loss:
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

    fused = LigerFusedLinearCrossEntropyLoss(accum_dtype=torch.float32)

    def loss() -> Tensor:
        row_ND = functional.normalize(batch.feature_ND) * math.sqrt(SCALE)
        class_CD = functional.normalize(batch.weight_CD) * math.sqrt(SCALE)
        return fused(class_CD, row_ND, batch.label_N)

    return loss


ENGINES = {
    "ours": Engine("full", ours),
    "eager": Engine("full", eager),
    "compiled": Engine("full", compiled),
    "pytorch-metric-learning": Engine("cosface", pytorch_metric_learning),
    "cut-cross-entropy": Engine("softmax", cut_cross_entropy, on_cpu=False),
    "liger-kernel": Engine("softmax", liger_kernel, on_cpu=False),
}
