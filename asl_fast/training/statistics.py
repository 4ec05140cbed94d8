"""Means and variances over the views of all processes, for batch norms that are trained with the whole batch.

torch's SyncBatchNorm does this on GPUs only; here it is a formula, the same on both (Chan et al. 1979):
    mean = sum_r n_r mean_r / n        variance = sum_r n_r (variance_r + (mean_r - mean)^2) / n
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from asl_fast.losses import Ranks


def joint_moments(mean_C: Tensor, variance_C: Tensor, num: int, ranks: Ranks) -> tuple[Tensor, Tensor, int]:
    """(mean_C, variance_C, how many) of all ranks' values; of this rank's `num` they have these, undivided by
    num - 1. Differentiable on every rank. A rank without values gives zeros.
    """
    own_3C = torch.stack([mean_C, variance_C, torch.full_like(mean_C, num)]).double()
    told_W3C: Tensor = _Told.apply(own_3C, ranks)
    mean_WC, variance_WC, num_WC = told_W3C.unbind(1)
    share_WC = (num_WC / num_WC.sum(0)).detach()
    joint_C = (share_WC * mean_WC).sum(0)
    variance_C = (share_WC * (variance_WC + (mean_WC - joint_C).square())).sum(0)
    return joint_C.to(mean_C.dtype), variance_C.to(mean_C.dtype), int(num_WC[:, 0].sum().item())


def join_statistics(model: nn.Module, ranks: Ranks) -> None:
    """Let every batch norm of `model` use the statistics of all ranks' values while it trains."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.forward = _JointNorm(module, ranks).forward  # type: ignore[method-assign]


class _JointNorm:
    def __init__(self, norm: _BatchNorm, ranks: Ranks) -> None:
        self.norm = norm
        self.ranks = ranks

    def forward(self, input: Tensor) -> Tensor:
        norm = self.norm
        if not norm.training:
            own: Tensor = type(norm).forward(norm, input)
            return own
        value = input.to(torch.promote_types(input.dtype, torch.float32))
        variance_C, mean_C = torch.var_mean(value, [0, *range(2, value.ndim)], correction=0)
        num = value.numel() // len(mean_C)
        mean_C, variance_C, num = joint_moments(mean_C, variance_C, num, self.ranks)
        self._follow(mean_C.detach(), variance_C.detach() * num / max(num - 1, 1))
        across = (1, -1) + (1,) * (value.ndim - 2)
        value = (value - mean_C.view(across)) * (variance_C + norm.eps).rsqrt().view(across)
        if norm.weight is not None:
            value = value * norm.weight.view(across) + norm.bias.view(across)
        for name in ("drop", "act"):  # timm's BatchNormAct2d holds what comes after the norm
            if hasattr(norm, name):
                value = getattr(norm, name)(value)
        return value.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean_C: Tensor, variance_C: Tensor) -> None:
        norm = self.norm
        if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
            return
        norm.num_batches_tracked += 1
        share = 1 / norm.num_batches_tracked.item() if norm.momentum is None else norm.momentum
        norm.running_mean.lerp_(mean_C.to(norm.running_mean.dtype), share)
        norm.running_var.lerp_(variance_C.to(norm.running_var.dtype), share)


class _Told(torch.autograd.Function):
    """(W, ...): every rank's values on every rank, each of which goes on to its own part of one loss."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return ranks.gather(value)

    @staticmethod
    def backward(ctx: Any, gradient_W: Tensor) -> tuple[Tensor, None]:
        ranks = ctx.ranks
        if ranks.group is not None:
            gradient_W = gradient_W.contiguous()
            dist.all_reduce(gradient_W, group=ranks.group)
        return gradient_W[ranks.rank], None
