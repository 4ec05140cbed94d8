"""The CPU path, and any device's for float64: PyTorch, one chunk of classes at a time.

Memory: N x chunk logits, twice, and for weights narrower than the accumulation type a chunk of them.
A chunk's size depends on shapes alone and sums run in a fixed order: the same bits every time.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from asl_fast.kernels.cosface_ratio.shard import GradientSink, Shard

CHUNK_ELEMENTS = 2**22  # of logits or weights: 16 MiB in float32; with less, threads meet too often


def row_norms(row_RD: Tensor, dtype: torch.dtype) -> Tensor:
    norm_R = row_RD.new_empty(len(row_RD), dtype=dtype)
    for start, stop in _chunks(len(row_RD), row_RD.shape[1]):
        torch.linalg.vector_norm(row_RD[start:stop].to(dtype), dim=1, out=norm_R[start:stop])
    return norm_R


def sum_exp(shard: Shard, shift_N: Tensor) -> Tensor:
    total_N = torch.zeros_like(shift_N)
    for _, _, logit_Nc, _ in _logit_chunks(shard):
        total_N += logit_Nc.sub_(shift_N[:, None]).exp_().sum(1)
    return total_N


def max_logit(shard: Shard) -> Tensor:
    largest_N = torch.full_like(shard.inverse_N, -torch.inf)
    for _, _, logit_Nc, _ in _logit_chunks(shard):
        largest_N = torch.maximum(largest_N, logit_Nc.amax(1))
    return largest_N


def backward(
    shard: Shard,
    other_N: Tensor,
    pull_N: Tensor,
    target_pull_N: Tensor,
    stretch_C: Tensor | None,
    sink: GradientSink | None,
    *,
    need_feature: bool,
) -> Tensor | None:
    dtype = other_N.dtype
    feature_ND = shard.feature_ND.to(dtype)
    feature_gradient_ND = torch.zeros_like(feature_ND) if need_feature else None
    for start, stop, logit_Nc, weight_cD in _logit_chunks(shard):
        rows, columns = _targets(shard, start, stop)
        inverse_c = shard.inverse_C[start:stop]
        r_Nc = logit_Nc.sub_(other_N[:, None]).exp_()
        r_Nc.mul_((pull_N * shard.inverse_N)[:, None])
        r_Nc[rows, columns] = target_pull_N[rows] * shard.inverse_N[rows]
        r_Nc.mul_(inverse_c)
        if sink is not None:
            gradient_cD = sink.buffer(start, stop)
            exact_cD = gradient_cD if gradient_cD.dtype == dtype else torch.empty_like(weight_cD)
            torch.mm(r_Nc.T, feature_ND, out=exact_cD)
            along_c = torch.linalg.vecdot(exact_cD, weight_cD).mul_(inverse_c.square()).neg_()
            if stretch_C is not None:
                along_c += stretch_C[start:stop]
            exact_cD.addcmul_(weight_cD, along_c[:, None])
            if exact_cD is not gradient_cD:
                gradient_cD.copy_(exact_cD)
        if feature_gradient_ND is not None:
            feature_gradient_ND.addmm_(r_Nc, weight_cD)
        if sink is not None:
            sink.done(start, stop)
    return feature_gradient_ND


def _logit_chunks(shard: Shard) -> Iterator[tuple[int, int, Tensor, Tensor]]:
    """(start, stop, logit_Nc with -inf at targets, weight_cD) of each chunk of classes."""
    num_rows, num_dims = shard.feature_ND.shape
    dtype = shard.inverse_N.dtype
    row_ND = shard.feature_ND * (shard.inverse_N * shard.scale)[:, None]
    for start, stop in _chunks(len(shard.weight_CD), max(num_rows, num_dims)):
        weight_cD = shard.weight_CD[start:stop].to(dtype)
        logit_Nc = torch.mm(row_ND, weight_cD.T)
        logit_Nc *= shard.inverse_C[start:stop]
        logit_Nc[_targets(shard, start, stop)] = -torch.inf
        yield start, stop, logit_Nc, weight_cD


def _targets(shard: Shard, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Rows whose class lies in start..stop, and its place there."""
    rows = ((shard.label_N >= start) & (shard.label_N < stop)).nonzero().squeeze(1)
    return rows, shard.label_N[rows] - start


def _chunks(size: int, width: int) -> Iterator[tuple[int, int]]:
    length = max(64, CHUNK_ELEMENTS // width)
    for start in range(0, size, length):
        yield start, min(start + length, size)
