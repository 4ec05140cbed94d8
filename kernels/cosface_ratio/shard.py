"""One shard of the classes, as both paths see it, and what they must be able to do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from asl_fast.kernels.cosface_ratio.reference import TINY_NORM


@dataclass(frozen=True)
class Shard:
    """N rows against C classes: logit = scale * (x_n . w_c) * inverse_N * inverse_C, without margins.

    feature_ND, weight_CD: raw rows in their own types.  label_N: int64, the row's class in this shard or -1.
    inverse_N, inverse_C: 1 / norm in the accumulation type, 0 for a row without direction.
    A row's own class, the target, takes no part in what the paths compute: its logit has a margin, so the
    caller adds it to the sums and hands its derivative to `backward`.
    """

    feature_ND: Tensor
    weight_CD: Tensor
    label_N: Tensor
    inverse_N: Tensor
    inverse_C: Tensor
    scale: float


class GradientSink(Protocol):
    """Where the gradient of the class weights goes, a chunk of classes at a time."""

    def buffer(self, start: int, stop: int) -> Tensor:
        """Memory for the gradient of classes start..stop: (stop - start, D), contiguous, any float type."""

    def done(self, start: int, stop: int) -> None:
        """That memory is filled and the weights of these classes will not be read again."""


class Path(Protocol):
    """What `chunked` (PyTorch, any device) and `gpu` (Triton) offer; only a chunk of logits ever exists."""

    def row_norms(self, row_RD: Tensor, dtype: torch.dtype) -> Tensor:
        """Euclidean norms (R,), summed in `dtype`."""

    def sum_exp(self, shard: Shard, shift_N: Tensor) -> Tensor:
        """Sum over the classes but the target of exp(logit - shift_N): (N,) in the accumulation type."""

    def max_logit(self, shard: Shard) -> Tensor:
        """Largest logit over the classes but the target, -inf if there is no other class: (N,)."""

    def backward(
        self,
        shard: Shard,
        other_N: Tensor,
        pull_N: Tensor,
        target_pull_N: Tensor,
        stretch_C: Tensor | None,
        sink: GradientSink | None,
        *,
        need_feature: bool,
    ) -> Tensor | None:
        """Gradients, given d loss / d cosine: q = pull_N * exp(logit - other_N), at the target target_pull_N.
        other_N: log sum of exp(logit) over the classes but the target, +inf if there are none.

        With r = q * inverse_N * inverse_C:
        returns sum_c r w_c, (N, D) in the accumulation type (None unless need_feature), and hands to the sink
        sum_n r x_n - w_c * sum_n r (x_n . w_c) * inverse_C**2 + w_c * stretch_C.
        """


def inverse_norms(norm_R: Tensor) -> Tensor:
    """1 / norm, 0 for a row without direction."""
    short_R = norm_R < TINY_NORM
    return torch.where(short_R, 0.0, 1 / torch.where(short_R, 1.0, norm_R))


def target_cosines(shard: Shard) -> Tensor:
    """Cosine of each row and its own class (N,), 0 without one."""
    if len(shard.weight_CD) == 0:  # a rank may have no class
        return torch.zeros_like(shard.inverse_N)
    dtype = shard.inverse_N.dtype
    own_N = shard.label_N.clamp_min(0)
    own_ND = shard.weight_CD[own_N].to(dtype)
    dot_N = (shard.feature_ND.to(dtype) * own_ND).sum(1)
    cosine_N = dot_N * shard.inverse_N * shard.inverse_C[own_N]
    return torch.where(shard.label_N >= 0, cosine_N, 0.0)
