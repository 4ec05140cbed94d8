"""The operator `asl_fast::norm_ratio`: mean of exp(1 - |x_i| / |x_j|) over pairs, from norms at hand.

An operator of its own, so that every norm's terms are summed in the order of the pairs, see `pair_sums`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from asl_fast.kernels.cosface_ratio.checks import check_range
from asl_fast.kernels.cosface_ratio.pair_sums import pair_sums
from asl_fast.kernels.cosface_ratio.reference import MAX_RATIO, TINY_NORM


@torch.library.custom_op("asl_fast::norm_ratio", mutates_args=())
def norm_ratio(norm_N: Tensor, pair_index_P2: Tensor) -> Tensor:
    """Scalar of norm_N's type, 0 without pairs; a pair with a -1 is left out.  ValueError out of range."""
    check_range("pair_index_P2", pair_index_P2, len(norm_N))
    valid_P = (pair_index_P2 >= 0).all(1)
    term_P, _, _ = _terms(norm_N, pair_index_P2)
    return torch.where(valid_P, term_P, 0.0).sum() / valid_P.sum().clamp_min(1)


@norm_ratio.register_fake
def _(norm_N: Tensor, _pair_index_P2: Tensor) -> Tensor:
    return norm_N.new_empty(())


@torch.library.custom_op("asl_fast::norm_ratio_backward", mutates_args=())
def norm_ratio_backward(gradient: Tensor, norm_N: Tensor, pair_index_P2: Tensor) -> Tensor:
    """Gradient of norm_N; a ratio over MAX_RATIO, and a norm below TINY_NORM as divisor, get none."""
    valid_P = (pair_index_P2 >= 0).all(1)
    term_P, ratio_P, divisor_P = _terms(norm_N, pair_index_P2)
    by_more_P = torch.where(valid_P & (ratio_P < MAX_RATIO), -term_P / divisor_P, 0.0)
    by_less_P = torch.where(divisor_P > TINY_NORM, -ratio_P * by_more_P, 0.0)
    gradient_N = pair_sums(by_more_P, by_less_P, pair_index_P2, len(norm_N))
    return gradient_N * (gradient / valid_P.sum().clamp_min(1))


@norm_ratio_backward.register_fake
def _(_gradient: Tensor, norm_N: Tensor, _pair_index_P2: Tensor) -> Tensor:
    return torch.empty_like(norm_N)


def _terms(norm_N: Tensor, pair_index_P2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Per pair: exp(1 - ratio), the ratio cut at MAX_RATIO, the divisor."""
    more_P, less_P = norm_N[pair_index_P2.clamp_min(0)].unbind(1)
    divisor_P = less_P.clamp_min(TINY_NORM)
    ratio_P = torch.where(more_P > MAX_RATIO * less_P, MAX_RATIO, more_P / divisor_P)
    return (1 - ratio_P).exp(), ratio_P, divisor_P


def _keep(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG001
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
    return norm_ratio_backward(gradient, *ctx.saved_tensors), None  # type: ignore[attr-defined]


norm_ratio.register_autograd(_differentiate, setup_context=_keep)
