"""The GPU path in Triton, for float32 and narrower: tensor cores, float32 sums, the same bits on every run.

    row_norms   |w_c|                                              one pass over the weights
    sum_exp     tiles of X W^T -> exp -> a sum per row and program, logits stay in registers: one pass
    backward    per chunk of classes, with R = d loss / d (x . w):
                  pull_kernel     tiles of X W^T again -> R, rounded once; sum_n R (x . w) of each class
                  weight_kernel   R^T X less its part along w, into the sink
                  feature_kernel  R W, into partial sums that belong to one program each

bfloat16 multiplies as such. float16 does in X W^T; R can lie far below its range, so R and what meets R
multiply as TF32, which holds every float16. float32 is split into three TF32 products ("tf32x3").
Memory beside the results: SCRATCH_BYTES of R, splits x N x D partial sums, C norms.
No atomics; grids and chunks depend on shapes alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from asl_fast.kernels.cosface_ratio import gpu_kernels
from asl_fast.kernels.cosface_ratio.shard import GradientSink, Shard

SCRATCH_BYTES = 32 * 2**20
NUM_PROGRAMS = 1056  # at most, where a program takes many tiles: 8 for each of an H200's 132 multiprocessors
LOG2_E = 1.4426950408889634


@dataclass(frozen=True)
class Tile:
    """How a program multiplies (m, k) by (k, n): on which tensor cores, with how many warps and stages."""

    m: int
    n: int
    k: int
    precision: str
    num_warps: int
    num_stages: int

    def options(self) -> dict[str, Any]:
        sizes = {"BLOCK_M": self.m, "BLOCK_N": self.n, "BLOCK_K": self.k, "PRECISION": self.precision}
        return sizes | {"num_warps": self.num_warps, "num_stages": self.num_stages}


HALF = Tile(m=128, n=128, k=64, precision="ieee", num_warps=8, num_stages=3)
HALF_AS_TF32 = Tile(m=64, n=64, k=32, precision="tf32", num_warps=4, num_stages=3)
SINGLE = Tile(m=64, n=64, k=32, precision="tf32x3", num_warps=4, num_stages=3)
LOGIT_TILE = {torch.bfloat16: HALF, torch.float16: HALF, torch.float32: SINGLE}
GRADIENT_TILE = {torch.bfloat16: HALF, torch.float16: HALF_AS_TF32, torch.float32: SINGLE}


def tiles(row_ND: Tensor) -> tuple[Tile, Tile]:
    """The tiles of X W^T and of products with R."""
    chosen = LOGIT_TILE[row_ND.dtype], GRADIENT_TILE[row_ND.dtype]
    if row_ND.shape[1] * row_ND.itemsize % 16 == 0:
        return chosen
    # Rows that start anywhere are copied by way of registers, which then hold only small tiles.
    logit, gradient = (
        replace(tile, m=64, n=32 if tile is SINGLE else 64, k=32, num_warps=8, num_stages=2)
        for tile in chosen
    )
    return logit, gradient


def row_norms(row_RD: Tensor, dtype: torch.dtype) -> Tensor:
    row_RD = row_RD.contiguous()
    norm_R = row_RD.new_empty(len(row_RD), dtype=dtype)
    with torch.cuda.device_of(row_RD):
        grid = (ceil_div(len(row_RD), 8),)
        gpu_kernels.norm_kernel[grid](row_RD, norm_R, *row_RD.shape, BLOCK_R=8, BLOCK_D=256, num_warps=4)
    return norm_R


def sum_exp(shard: Shard, shift_N: Tensor) -> Tensor:
    return _reduced(shard, shift_N * LOG2_E, maximum=False).sum(0)


def max_logit(shard: Shard) -> Tensor:
    return _reduced(shard, torch.zeros_like(shard.inverse_N), maximum=True).amax(0) / LOG2_E


def _reduced(shard: Shard, shift_N: Tensor, *, maximum: bool) -> Tensor:
    """(programs of a row, N): what each program found in its share of the classes."""
    rows = Rows(shard)
    weight_CD = shard.weight_CD.contiguous()
    tile, _ = tiles(rows.row_ND)
    num_row_blocks = ceil_div(rows.num_rows, tile.m)
    num_tiles = ceil_div(len(weight_CD), tile.n)
    num_splits = max(1, min(num_tiles, NUM_PROGRAMS // num_row_blocks))
    found_SN = rows.row_ND.new_empty(num_splits, rows.num_rows, dtype=torch.float32)
    with torch.cuda.device_of(weight_CD):
        gpu_kernels.reduce_kernel[(num_row_blocks * num_splits,)](
            rows.row_ND,
            weight_CD,
            shard.label_N.to(torch.int32),
            rows.inverse_N,
            shard.inverse_C,
            shift_N,
            found_SN,
            rows.num_rows,
            len(weight_CD),
            rows.num_dims,
            num_splits,
            shard.scale * LOG2_E,
            MAXIMUM=maximum,
            EVEN_K=rows.num_dims % tile.k == 0,
            **tile.options(),
        )
    return found_SN


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
    rows = Rows(shard)
    weight_CD = shard.weight_CD.contiguous()
    tile, product = tiles(rows.row_ND)
    num_classes, num_dims = weight_CD.shape
    num_row_blocks = ceil_div(rows.num_rows, tile.m)
    r_NL = _scratch(rows, num_classes)
    length = r_NL.shape[1]
    along_BL = r_NL.new_empty(num_row_blocks, length, dtype=torch.float32)
    num_blocks = ceil_div(rows.num_rows, product.m) * ceil_div(num_dims, product.n)
    num_splits = max(1, min(NUM_PROGRAMS // (4 * num_blocks), length // (8 * product.k)))
    partial_SND = r_NL.new_zeros(num_splits if need_feature else 0, *rows.row_ND.shape, dtype=torch.float32)
    with torch.cuda.device_of(weight_CD):
        for start in range(0, num_classes, length):
            stop = min(start + length, num_classes)
            weight_LD, inverse_L = weight_CD[start:stop], shard.inverse_C[start:stop]
            gpu_kernels.pull_kernel[(num_row_blocks * ceil_div(stop - start, tile.n),)](
                rows.row_ND,
                weight_LD,
                (shard.label_N - start).to(torch.int32),
                rows.inverse_N,
                inverse_L,
                other_N * LOG2_E,
                pull_N,
                target_pull_N,
                r_NL,
                along_BL,
                rows.num_rows,
                stop - start,
                num_dims,
                length,
                shard.scale * LOG2_E,
                EVEN_K=num_dims % tile.k == 0,
                **tile.options(),
            )
            if sink is not None:
                gradient_LD = sink.buffer(start, stop)
                grid = (ceil_div(stop - start, product.m) * ceil_div(num_dims, product.n),)
                gpu_kernels.weight_kernel[grid](
                    r_NL,
                    rows.row_ND,
                    weight_LD,
                    inverse_L,
                    along_BL,
                    inverse_L if stretch_C is None else stretch_C[start:stop],
                    gradient_LD,
                    rows.num_rows,
                    stop - start,
                    num_dims,
                    length,
                    num_row_blocks,
                    STRETCHED=stretch_C is not None,
                    EVEN_K=rows.num_rows % product.k == 0,
                    **product.options(),
                )
            if need_feature:
                gpu_kernels.feature_kernel[(num_blocks * num_splits,)](
                    r_NL,
                    weight_LD,
                    partial_SND,
                    rows.num_rows,
                    stop - start,
                    num_dims,
                    length,
                    ceil_div(length, num_splits * product.k) * product.k,
                    EVEN_K=(stop - start) % product.k == 0,
                    **product.options(),
                )
            if sink is not None:
                sink.done(start, stop)
    return rows.scaled(partial_SND.sum(0)) if need_feature else None


def ceil_div(value: int, by: int) -> int:
    return -(-value // by)


class Rows:
    """The batch as the kernels take it: contiguous and of the weights' type.

    Where that type can't hold the features (float32 rows, bfloat16 weights) unit rows are rounded to it, so
    that float16 doesn't overflow; inverse_N is then 1.
    """

    def __init__(self, shard: Shard) -> None:
        dtype = shard.weight_CD.dtype
        self.fits = torch.promote_types(shard.feature_ND.dtype, dtype) == dtype
        self._true_inverse_N = shard.inverse_N
        if self.fits:
            self.row_ND = shard.feature_ND.to(dtype).contiguous()
            self.inverse_N = shard.inverse_N
        else:
            self.row_ND = (shard.feature_ND * shard.inverse_N[:, None]).to(dtype).contiguous()
            self.inverse_N = torch.ones_like(shard.inverse_N)
        self.num_rows, self.num_dims = self.row_ND.shape

    def scaled(self, gradient_ND: Tensor) -> Tensor:
        """By the inverse norms that R does not hold."""
        return gradient_ND if self.fits else gradient_ND * self._true_inverse_N[:, None]


def _scratch(rows: Rows, num_classes: int) -> Tensor:
    """Memory for R of one chunk of classes (N, L); L is a multiple of every tile: rows stay aligned."""
    dtype = torch.bfloat16 if rows.row_ND.dtype == torch.bfloat16 else torch.float32
    length = max(1024, SCRATCH_BYTES // (rows.num_rows * dtype.itemsize) // 128 * 128)
    return rows.row_ND.new_empty(
        rows.num_rows, min(length, max(1, ceil_div(num_classes, 128)) * 128), dtype=dtype
    )
