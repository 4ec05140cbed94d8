"""The operator `asl_fast::class_softmax`: what each row's own class is up against in a shard of the classes.

    logit_nc = scale * cos(x_n, w_c), with the margin at c = label_n
    other_n = log sum_{c != label_n} exp(logit_nc)        target_n = logit of the label, 0 without one

Cross-entropy is softplus(other - target): with the target out of the sum no nearly equal numbers are
subtracted, neither there nor in the gradient. Over shards of the classes other = logsumexp of theirs and
target = the sum of theirs; the chain rule through these two is the exact gradient: nothing else is shared.
"""

from __future__ import annotations

import torch
from torch import Tensor

from asl_fast.kernels.cosface_ratio import chunked, paths
from asl_fast.kernels.cosface_ratio.checks import check_norms, check_range
from asl_fast.kernels.cosface_ratio.margins import margin_slope, with_margin
from asl_fast.kernels.cosface_ratio.shard import GradientSink, Path, Shard, inverse_norms, target_cosines


@torch.library.custom_op("asl_fast::class_softmax", mutates_args=())
def class_softmax(
    feature_ND: Tensor, weight_CD: Tensor, label_N: Tensor, scale: float, margin: float, margin_kind: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(other_N, target_N, norm_N, norm_C): differentiable in feature_ND and weight_CD, float32 or wider.

    label_N: -1 = the row's class is not in this shard.  other_N is -inf where no other class is.
    ValueError for a label out of range or a row whose
    norm is not finite, before any logit is computed.
    """
    check_range("label_N", label_N, len(weight_CD))
    dtype = paths.accumulation_dtype(feature_ND, weight_CD)
    path = paths.path_for(weight_CD, dtype)
    norm_N = chunked.row_norms(feature_ND, torch.float64).to(dtype)  # few rows: squares may overflow float32
    norm_C = path.row_norms(weight_CD, dtype)
    check_norms("feature_ND", norm_N)
    check_norms("weight_CD", norm_C)
    shard = Shard(feature_ND, weight_CD, label_N, inverse_norms(norm_N), inverse_norms(norm_C), scale)
    target_N = scale * with_margin(target_cosines(shard), margin_kind, margin)
    return _log_sum_exp(path, shard), torch.where(label_N >= 0, target_N, 0.0), norm_N, norm_C


@class_softmax.register_fake
def _(feature_ND: Tensor, weight_CD: Tensor, *_rest: object) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dtype = paths.accumulation_dtype(feature_ND, weight_CD)
    per_row = [feature_ND.new_empty(len(feature_ND), dtype=dtype) for _ in range(3)]
    return *per_row, weight_CD.new_empty(len(weight_CD), dtype=dtype)  # type: ignore[return-value]


@torch.library.custom_op("asl_fast::class_softmax_backward", mutates_args=())
def class_softmax_backward(
    other_gradient_N: Tensor,
    target_gradient_N: Tensor,
    norm_gradient_N: Tensor | None,
    norm_gradient_C: Tensor | None,
    feature_ND: Tensor,
    weight_CD: Tensor,
    label_N: Tensor,
    other_N: Tensor,
    norm_N: Tensor,
    norm_C: Tensor,
    scale: float,
    margin: float,
    margin_kind: str,
    need_feature: bool,
    need_weight: bool,
) -> tuple[Tensor, Tensor]:
    """Gradients of feature_ND and weight_CD in their types; one that is not needed comes empty."""
    shard = Shard(feature_ND, weight_CD, label_N, inverse_norms(norm_N), inverse_norms(norm_C), scale)
    weight_gradient_CD = torch.empty_like(weight_CD) if need_weight else weight_CD.new_empty(0)
    feature_gradient_ND = shard_backward(
        shard,
        torch.where(other_N == -torch.inf, torch.inf, other_N),  # no other class: every share is 0
        other_gradient_N,
        target_gradient_N,
        norm_gradient_N,
        norm_gradient_C,
        margin,
        margin_kind,
        StoredGradient(weight_gradient_CD) if need_weight else None,
        need_feature=need_feature,
    )
    return feature_gradient_ND, weight_gradient_CD


@class_softmax_backward.register_fake
def _(*arguments: Tensor) -> tuple[Tensor, Tensor]:
    feature_ND, weight_CD = arguments[4:6]
    need_feature, need_weight = arguments[-2:]
    return (
        torch.empty_like(feature_ND) if need_feature else feature_ND.new_empty(0),
        torch.empty_like(weight_CD) if need_weight else weight_CD.new_empty(0),
    )


class StoredGradient:
    """The sink that keeps the whole gradient of the class weights."""

    def __init__(self, gradient_CD: Tensor) -> None:
        self.gradient_CD = gradient_CD

    def buffer(self, start: int, stop: int) -> Tensor:
        return self.gradient_CD[start:stop]

    def done(self, start: int, stop: int) -> None:
        """Nothing to do: the gradient lies where it should."""


def shard_backward(
    shard: Shard,
    other_N: Tensor,
    other_gradient_N: Tensor,
    target_gradient_N: Tensor,
    norm_gradient_N: Tensor | None,
    norm_gradient_C: Tensor | None,
    margin: float,
    margin_kind: str,
    sink: GradientSink | None,
    *,
    need_feature: bool,
) -> Tensor:
    """The gradient of feature_ND in its type (empty unless needed); that of the weights goes to the sink."""
    path = paths.path_for(shard.weight_CD, other_N.dtype)
    cosine_N = target_cosines(shard)
    slope_N = margin_slope(cosine_N, margin_kind, margin)
    gradient_ND = path.backward(
        shard,
        torch.where(other_N == -torch.inf, torch.inf, other_N),  # no other class: every share is 0
        shard.scale * other_gradient_N,
        shard.scale * target_gradient_N * slope_N,
        None if norm_gradient_C is None else norm_gradient_C * shard.inverse_C,
        sink,
        need_feature=need_feature,
    )
    if gradient_ND is None:
        return shard.feature_ND.new_empty(0)
    # The unit row's gradient has no part along the row; the norm's gradient has no other part.
    row_ND = shard.feature_ND.to(gradient_ND.dtype)
    along_N = -(gradient_ND * row_ND).sum(1) * shard.inverse_N * shard.inverse_N  # the square could underflow
    if norm_gradient_N is not None:
        along_N = along_N + norm_gradient_N * shard.inverse_N
    return gradient_ND.addcmul_(row_ND, along_N[:, None]).to(shard.feature_ND.dtype)


def _log_sum_exp(path: Path, shard: Shard) -> Tensor:
    """No logit is above scale, so that is the shift, and one pass is enough.

    A row whose sum is so small that terms below the smallest normal number could have mattered to its last
    bit (cosines near -1 at a large scale) is shifted by its largest logit instead, in two passes more.
    """
    limits = torch.finfo(shard.inverse_N.dtype)
    shift_N = torch.full_like(shard.inverse_N, shard.scale)
    total_N = path.sum_exp(shard, shift_N)
    low_N = total_N < len(shard.weight_CD) * limits.tiny / limits.eps
    if low_N.any():
        largest_N = path.max_logit(shard)
        shift_N = torch.where(low_N & largest_N.isfinite(), largest_N, shift_N)
        total_N = path.sum_exp(shard, shift_N)
    return shift_N + total_N.log()


def _keep(ctx: torch.autograd.function.FunctionCtx, inputs: tuple, output: tuple) -> None:
    feature_ND, weight_CD, label_N, *ctx.settings = inputs  # type: ignore[attr-defined]
    other_N, _, norm_N, norm_C = output
    ctx.save_for_backward(feature_ND, weight_CD, label_N, other_N, norm_N, norm_C)
    ctx.set_materialize_grads(False)


def _differentiate(
    ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor | None
) -> tuple[Tensor | None, ...]:
    other_gradient_N, target_gradient_N, norm_gradient_N, norm_gradient_C = gradients
    feature_ND, weight_CD, label_N, other_N, norm_N, norm_C = ctx.saved_tensors  # type: ignore[attr-defined]
    need_feature, need_weight = ctx.needs_input_grad[:2]  # type: ignore[attr-defined]
    feature_gradient_ND, weight_gradient_CD = class_softmax_backward(
        torch.zeros_like(other_N) if other_gradient_N is None else other_gradient_N,
        torch.zeros_like(other_N) if target_gradient_N is None else target_gradient_N,
        norm_gradient_N,
        norm_gradient_C,
        feature_ND,
        weight_CD,
        label_N,
        other_N,
        norm_N,
        norm_C,
        *ctx.settings,  # type: ignore[attr-defined]
        need_feature,
        need_weight,
    )
    return (
        feature_gradient_ND if need_feature else None,
        weight_gradient_CD if need_weight else None,
        *[None] * 4,
    )


class_softmax.register_autograd(_differentiate, setup_context=_keep)
