"""Which path computes a shard of the classes."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from asl_fast.kernels.cosface_ratio import chunked
from asl_fast.kernels.cosface_ratio.shard import Path


def accumulation_dtype(feature_ND: Tensor, weight_CD: Tensor) -> torch.dtype:
    """float32, or float64 if an input is."""
    return torch.promote_types(torch.promote_types(feature_ND.dtype, weight_CD.dtype), torch.float32)


def path_for(weight_CD: Tensor, dtype: torch.dtype) -> Path:
    """Triton on an NVIDIA GPU, unless sums are float64, which it has no fast products for; else PyTorch."""
    if weight_CD.is_cuda and dtype != torch.float64:
        from asl_fast.kernels.cosface_ratio import gpu  # only here: Triton is not on every machine

        return cast(Path, gpu)
    return cast(Path, chunked)
