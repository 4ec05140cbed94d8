"""Batches for the tests of the loss, and what a loss makes of them."""

import torch
from torch.nn.functional import cross_entropy, normalize

from asl_fast.kernels.cosface_ratio.margins import with_margin
from asl_fast.kernels.cosface_ratio.norm_ratio import norm_ratio
from asl_fast.kernels.cosface_ratio.reference import cosface_norm_ratio_reference as plain

__all__ = ["MARGIN", "NO_PAIRS", "batch", "plain", "plain_in_type", "results"]

MARGIN = {"cosface": 0.35, "arcface": 0.5, "softmax": 0.0}
NO_PAIRS = torch.empty(0, 2, dtype=torch.int64)


def batch(num_rows, num_classes, num_dims, dtype=torch.float32, seed=0):
    """Rows near their classes, some without a label, and pairs between neighbours."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(num_classes, num_dims, generator=generator)
    label = torch.randint(-1, num_classes, (num_rows,), generator=generator)
    label[-1] = num_classes - 1  # at least one label, and the last class has a row
    noise = torch.randn(num_rows, num_dims, generator=generator)
    feature = 3 * noise + 2 * weight[label] * (label >= 0)[:, None]
    pairs = torch.randint(-1, num_rows, (2 * num_rows, 2), generator=generator)
    return feature.to(dtype), weight.to(dtype), label, pairs


def results(loss, feature, weight, label, pairs, **settings):
    """The total and both gradients."""
    feature, weight = feature.clone().requires_grad_(), weight.clone().requires_grad_()
    total = loss(feature, weight, label, pairs, **settings)[0]
    total.backward()
    gradients = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in (feature, weight)]
    return total.detach(), *gradients


def plain_in_type(
    feature, weight, label, pairs, *, scale, margin, margin_kind="cosface", metric_weight, ratio_weight
):
    """The formula as one would write it: matrix products in the type of the weights, the rest wider."""
    cosine = (normalize(feature).to(weight.dtype) @ normalize(weight).T).float()
    own = label.clamp_min(0)[:, None]
    logit = scale * cosine.scatter(1, own, with_margin(cosine.gather(1, own), margin_kind, margin))
    metric = cross_entropy(logit, label, ignore_index=-1, reduction="sum") / (label >= 0).sum().clamp_min(1)
    ratio = norm_ratio(feature.float().norm(dim=1), pairs)
    return metric_weight * metric + ratio_weight * ratio, metric, ratio
