"""The loss of `kernels/cosface_ratio` with its classes divided over ranks, sampled, or stepped at once."""

from __future__ import annotations

import torch
from torch import Tensor

from asl_fast.kernels.cosface_ratio import LossParts, mean_cross_entropy
from asl_fast.kernels.cosface_ratio.checks import (
    check_indexes,
    check_margin,
    check_range,
    check_rows,
    check_scale,
)
from asl_fast.kernels.cosface_ratio.class_softmax import class_softmax
from asl_fast.kernels.cosface_ratio.norm_gap import norm_gap
from asl_fast.kernels.cosface_ratio.norm_ratio import norm_ratio
from asl_fast.losses.class_step import ClassStep, stepped_class_softmax
from asl_fast.losses.negatives import sampled_classes
from asl_fast.losses.ranks import (
    Ranks,
    gather_labels,
    gather_rows,
    join_shards,
    joined_mean,
    refuse_shard,
)


def divided_loss(
    feature_BD: Tensor,
    weight_CD: Tensor,
    label_B: Tensor,
    pair_index_P2: Tensor,
    even_index_E2: Tensor | None = None,
    *,
    scale: float,
    margin: float,
    margin_kind: str,
    metric_weight: float,
    ratio_weight: float,
    gap_weight: float = 1.0,
    ranks: Ranks,
    negative_share: float = 1.0,
    step: ClassStep | None = None,
) -> LossParts:
    """The loss of all ranks' rows together, the same number on every rank.

    feature_BD, label_B, pair_index_P2, even_index_E2: this rank's batch, with labels among all classes.
    weight_CD: its classes. The gradient of weight_CD is that of the one loss; for feature_BD's see `Ranks`.
    negative_share: under 1, a row meets the classes of all ranks' batches and about this share of the others.
    step: if given, the backward pass steps weight_CD, which gets no gradient.
    Raises ValueError as `cosface_norm_ratio_loss` does, on every rank; a row that is not finite is counted
    among all ranks' rows.
    """
    even_index_E2 = pair_index_P2.new_empty(0, 2) if even_index_E2 is None else even_index_E2

    def check() -> None:
        check_scale(scale)
        check_margin(margin_kind, margin)
        if not 0 < negative_share <= 1:
            raise ValueError(f"loss: negative_share must be in (0, 1], got {negative_share}")
        if len(weight_CD) != ranks.stop - ranks.first:
            raise ValueError(
                f"loss: weight_CD must hold the {ranks.stop - ranks.first} classes {ranks.first}..."
                f"{ranks.stop - 1} of rank {ranks.rank}, got {len(weight_CD)}"
            )
        check_rows(feature_BD, weight_CD if len(weight_CD) else weight_CD.new_zeros(1, weight_CD.shape[1]))
        check_indexes("label_N", label_B, (len(feature_BD),), feature_BD.device)
        check_indexes("pair_index_P2", pair_index_P2, (None, 2), feature_BD.device)
        check_indexes("even_index_E2", even_index_E2, (None, 2), feature_BD.device)
        check_range("label_N", label_B, ranks.num_classes)
        check_range("pair_index_P2", pair_index_P2, len(feature_BD))
        check_range("even_index_E2", even_index_E2, len(feature_BD))

    num_rows_W, key = ranks.agree(feature_BD, check)
    feature_ND = gather_rows(feature_BD, ranks, num_rows_W)
    label_N = gather_labels(label_B, ranks, num_rows_W)
    own_label_N = torch.where((label_N >= ranks.first) & (label_N < ranks.stop), label_N - ranks.first, -1)
    class_k = None
    if negative_share < 1:
        class_k = sampled_classes(own_label_N, len(weight_CD), negative_share, key, first=ranks.first)
        own_label_N = torch.where(own_label_N < 0, -1, torch.searchsorted(class_k, own_label_N))
    softmax = (float(scale), float(margin), margin_kind)
    try:
        if step is not None:
            other_N, target_N, norm_N = stepped_class_softmax(
                feature_ND, weight_CD, own_label_N, *softmax, step, class_k
            )
        else:
            part_kD = weight_CD if class_k is None else weight_CD.index_select(0, class_k)
            other_N, target_N, norm_N, _ = class_softmax(feature_ND, part_kD, own_label_N, *softmax)
    except ValueError:
        refuse_shard(feature_ND, ranks)
        raise
    other_N, target_N = join_shards(other_N, target_N, ranks)
    metric = mean_cross_entropy(other_N, target_N, label_N)
    before = sum(num_rows_W[: ranks.rank])
    norm_B = norm_N[before : before + len(feature_BD)]
    ratio = joined_mean(norm_ratio(norm_B, pair_index_P2), _num_pairs(pair_index_P2), ranks)
    gap = joined_mean(norm_gap(norm_B, even_index_E2), _num_pairs(even_index_E2), ranks)
    return LossParts(metric_weight * metric + ratio_weight * ratio + gap_weight * gap, metric, ratio, gap)


def _num_pairs(index_P2: Tensor) -> Tensor:
    return (index_P2 >= 0).all(1).sum()
