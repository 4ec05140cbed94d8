"""The float64 answer of a formula, kept on disk, and how far an engine's answer is from it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from asl_fast.files import replacing
from asl_fast.kernels.cosface_ratio.reference import cosface_norm_ratio_reference
from benchmarks.loss.cases import CHECKED_CLASSES, Case
from benchmarks.loss.data import batch
from benchmarks.loss.engines import MARGIN, SCALE

NAMES = ("loss", "dX", "dW")
FLOOR = 64 * torch.finfo(torch.float32).eps  # a logit of 64 is rounded to as many spacings
_SLAB = 8192


def checked_classes(case: Case) -> int:
    return min(case.num_classes, CHECKED_CLASSES) if case.device == "cuda" else case.num_classes


def write_exact(case: Case, formula: str, folder: Path) -> None:
    """Compute it once, in several times the memory of the weights."""
    path = _path(case, formula, folder)
    if path.exists():
        return
    given = batch(case, checked_classes(case))
    feature_ND, weight_CD = (leaf.detach().double().requires_grad_() for leaf in given[:2])
    total, *_ = cosface_norm_ratio_reference(
        feature_ND,
        weight_CD,
        given.label_N,
        given.pair_index_P2,
        scale=SCALE,
        margin=0.0 if formula == "softmax" else MARGIN,
        margin_kind="softmax" if formula == "softmax" else "cosface",
        metric_weight=1.0,
        ratio_weight=1.0 if formula == "full" else 0.0,
    )
    exact = (total.detach(), *torch.autograd.grad(total, (feature_ND, weight_CD)))
    with replacing(path) as temporary:
        torch.save([value.cpu() for value in exact], temporary)
    if case.device == "cuda":
        torch.cuda.empty_cache()


def errors(case: Case, formula: str, folder: Path, answer: list[Tensor]) -> dict[str, float]:
    """Largest deviation of loss, dX and dW, as a share of the exact value's largest entry."""
    exact = torch.load(_path(case, formula, folder), mmap=True)
    return {name: _error(value, true) for name, value, true in zip(NAMES, answer, exact, strict=True)}


def _error(value: Tensor, exact: Tensor) -> float:
    deviation = largest = 0.0
    for part, true in zip(
        value.reshape(-1).split(_SLAB * 64), exact.reshape(-1).split(_SLAB * 64), strict=True
    ):
        if not part.isfinite().all():
            return float("inf")
        deviation = max(deviation, (part.double().cpu() - true).abs().max().item())
        largest = max(largest, true.abs().max().item())
    return deviation / largest


def _path(case: Case, formula: str, folder: Path) -> Path:
    return folder / f"{case.device}-{case.num_rows}-{checked_classes(case)}-{case.num_dims}-{formula}.pt"
