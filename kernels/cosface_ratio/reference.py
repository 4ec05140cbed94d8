"""The formula of the training loss in plain PyTorch, and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from asl_fast.kernels.cosface_ratio.margins import with_margin

MAX_RATIO = 31.0  # the ratio is cut here: beyond it the loss is below 1e-13 and so is its gradient
TINY_NORM = 1e-12  # a shorter row counts as one without direction


def cosface_norm_ratio_reference(
    feature_ND: Tensor,
    weight_CD: Tensor,
    label_N: Tensor,
    pair_index_P2: Tensor,
    even_index_E2: Tensor | None = None,
    *,
    scale: float,
    margin: float,
    margin_kind: str = "cosface",
    metric_weight: float,
    ratio_weight: float,
    gap_weight: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(total, metric, ratio, gap), in float32 or the wider type of the inputs."""
    dtype = torch.promote_types(torch.promote_types(feature_ND.dtype, weight_CD.dtype), torch.float32)
    feature_ND, weight_CD = feature_ND.to(dtype), weight_CD.to(dtype)
    norm_N = _norms(feature_ND)
    metric = _metric(_units(feature_ND, norm_N), weight_CD, label_N, scale, margin, margin_kind)
    ratio = _norm_ratio(norm_N, pair_index_P2)
    gap = _norm_gap(norm_N, pair_index_P2[:0] if even_index_E2 is None else even_index_E2)
    return metric_weight * metric + ratio_weight * ratio + gap_weight * gap, metric, ratio, gap


def _metric(
    unit_ND: Tensor, weight_CD: Tensor, label_N: Tensor, scale: float, margin: float, margin_kind: str
) -> Tensor:
    """Mean cross-entropy of scale * cosine, with the margin at the label, over the rows with a label."""
    labelled_L = (label_N >= 0).nonzero().squeeze(1)
    if len(labelled_L) == 0:
        return unit_ND.sum() * 0
    label_L1 = label_N[labelled_L][:, None]
    cosine_LC = unit_ND[labelled_L] @ _units(weight_CD, _norms(weight_CD)).T
    target_L1 = with_margin(cosine_LC.gather(1, label_L1), margin_kind, margin)
    return torch.nn.functional.cross_entropy(
        scale * cosine_LC.scatter(1, label_L1, target_L1), label_L1[:, 0]
    )


def _norm_ratio(norm_N: Tensor, pair_index_P2: Tensor) -> Tensor:
    """Mean of exp(1 - |x_i| / |x_j|) over the pairs (i, j) without a -1; i holds more content than j."""
    pair_index_V2 = pair_index_P2[(pair_index_P2 >= 0).all(1)]
    if len(pair_index_V2) == 0:
        return norm_N.sum() * 0
    more_V, less_V = norm_N[pair_index_V2[:, 0]], norm_N[pair_index_V2[:, 1]]
    capped_V = more_V > MAX_RATIO * less_V  # picked before dividing: inf * 0 in the gradient would be NaN
    ratio_V = torch.where(capped_V, 0.0, more_V) / torch.where(capped_V, 1.0, less_V).clamp_min(TINY_NORM)
    return (1 - torch.where(capped_V, MAX_RATIO, ratio_V)).exp().mean()


def _norm_gap(norm_N: Tensor, even_index_E2: Tensor) -> Tensor:
    """Mean of |log(|x_i| / |x_j|)| over the pairs without a -1: neither holds more content."""
    even_index_V2 = even_index_E2[(even_index_E2 >= 0).all(1)]
    if len(even_index_V2) == 0:
        return norm_N.sum() * 0
    log_N = norm_N.clamp_min(TINY_NORM).log()
    return (log_N[even_index_V2[:, 0]] - log_N[even_index_V2[:, 1]]).abs().mean()


def _norms(row_ND: Tensor) -> Tensor:
    """Euclidean norms whose gradient at an all-zero row is 0 instead of NaN."""
    square_N = row_ND.square().sum(1)
    zero_N = square_N == 0
    return torch.where(zero_N, 0.0, torch.where(zero_N, 1.0, square_N).sqrt())


def _units(row_ND: Tensor, norm_N: Tensor) -> Tensor:
    """Rows of length 1; a row shorter than TINY_NORM becomes zero and gets no gradient."""
    short_N = norm_N < TINY_NORM
    return row_ND * torch.where(short_N, 0.0, 1 / torch.where(short_N, 1.0, norm_N))[:, None]
