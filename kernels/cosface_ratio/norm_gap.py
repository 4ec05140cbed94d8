"""The operator `asl_fast::norm_gap`: mean of |log |x_i| - log |x_j|| over pairs, from norms at hand.

For pairs where neither picture is a copy of the other: both orders hold at once, so their norms should be
equal. The logarithm makes it the same for twice as long and half as long. An operator of its own for the same
reason as `norm_ratio`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from asl_fast.kernels.cosface_ratio.checks import check_range
from asl_fast.kernels.cosface_ratio.pair_sums import pair_sums
from asl_fast.kernels.cosface_ratio.reference import TINY_NORM


@torch.library.custom_op("asl_fast::norm_gap", mutates_args=())
def norm_gap(norm_N: Tensor, pair_index_P2: Tensor) -> Tensor:
    """Scalar of norm_N's type, 0 without pairs; a pair with a -1 is left out.  ValueError out of range."""
    check_range("even_index_E2", pair_index_P2, len(norm_N))
    valid_P = (pair_index_P2 >= 0).all(1)
    first_P, second_P = _divisors(norm_N, pair_index_P2)
    gap_P = (first_P.log() - second_P.log()).abs()
    return torch.where(valid_P, gap_P, 0.0).sum() / valid_P.sum().clamp_min(1)


@norm_gap.register_fake
def _(norm_N: Tensor, _pair_index_P2: Tensor) -> Tensor:
    return norm_N.new_empty(())


@torch.library.custom_op("asl_fast::norm_gap_backward", mutates_args=())
def norm_gap_backward(gradient: Tensor, norm_N: Tensor, pair_index_P2: Tensor) -> Tensor:
    """Gradient of norm_N: none for equal norms, and none for a norm below TINY_NORM."""
    valid_P = (pair_index_P2 >= 0).all(1)
    first_P, second_P = _divisors(norm_N, pair_index_P2)
    sign_P = torch.where(valid_P, (first_P - second_P).sign(), 0.0)
    by_first_P = torch.where(first_P > TINY_NORM, sign_P / first_P, 0.0)
    by_second_P = torch.where(second_P > TINY_NORM, -sign_P / second_P, 0.0)
    gradient_N = pair_sums(by_first_P, by_second_P, pair_index_P2, len(norm_N))
    return gradient_N * (gradient / valid_P.sum().clamp_min(1))


@norm_gap_backward.register_fake
def _(_gradient: Tensor, norm_N: Tensor, _pair_index_P2: Tensor) -> Tensor:
    return torch.empty_like(norm_N)


def _divisors(norm_N: Tensor, pair_index_P2: Tensor) -> tuple[Tensor, Tensor]:
    first_P, second_P = norm_N.clamp_min(TINY_NORM)[pair_index_P2.clamp_min(0)].unbind(1)
    return first_P, second_P


def _keep(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG001
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
    return norm_gap_backward(gradient, *ctx.saved_tensors), None  # type: ignore[attr-defined]


norm_gap.register_autograd(_differentiate, setup_context=_keep)
