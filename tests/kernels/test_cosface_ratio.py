"""The loss kernel against values worked by hand and against numeric derivatives."""

import math

import pytest
import torch

from asl_fast.kernels.cosface_ratio import cosface_norm_ratio_loss

NO_PAIRS = torch.empty(0, 2, dtype=torch.int64)


def batch(num_rows=6, num_classes=5, num_dims=4, dtype=torch.float64):
    generator = torch.Generator().manual_seed(7)
    feature = torch.randn(num_rows, num_dims, generator=generator, dtype=dtype)
    weight = torch.randn(num_classes, num_dims, generator=generator, dtype=dtype)
    label = torch.arange(num_rows) % num_classes
    pairs = torch.tensor([[0, 1], [0, 2], [1, 2], [3, 4]])
    return feature.requires_grad_(), weight.requires_grad_(), label, pairs


def test_two_classes_at_right_angles_cost_what_the_hand_says():
    feature = torch.tensor([[3.0, 0.0]])
    weight = torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    parts = cosface_norm_ratio_loss(
        feature, weight, torch.tensor([0]), NO_PAIRS, scale=2.0, margin=0.25
    )  # logits 2 * (1 - .25) = 1.5 and 0
    assert parts.metric.item() == pytest.approx(math.log(1 + math.exp(-1.5)), rel=1e-6)
    assert parts.ratio.item() == 0


def test_ratio_is_the_mean_of_exp_of_one_minus_the_quotient():
    feature = torch.tensor([[3.0, 4.0], [0.0, 2.5], [10.0, 0.0]])  # norms 5, 2.5, 10
    pairs = torch.tensor([[0, 1], [0, 2]])  # quotients 2 and .5
    parts = cosface_norm_ratio_loss(feature, torch.eye(2), torch.tensor([-1, -1, -1]), pairs)
    assert parts.ratio.item() == pytest.approx((math.exp(-1) + math.exp(0.5)) / 2, rel=1e-6)
    assert parts.metric.item() == 0


def test_total_weighs_both_parts():
    feature, weight, label, pairs = batch()
    parts = cosface_norm_ratio_loss(feature, weight, label, pairs, metric_weight=0.3, ratio_weight=7.0)
    assert parts.total.item() == pytest.approx(0.3 * parts.metric.item() + 7 * parts.ratio.item(), rel=1e-12)
    assert parts.metric > 0 and parts.ratio > 0


def test_gradients_agree_with_numeric_derivatives():
    feature, weight, label, pairs = batch()
    label[2] = -1

    def total(feature, weight):
        return cosface_norm_ratio_loss(feature, weight, label, pairs, scale=8.0, metric_weight=0.7).total

    assert torch.autograd.gradcheck(total, (feature, weight))


def test_metric_does_not_see_how_long_rows_are():
    feature, weight, label, _ = batch()
    stretched = feature * torch.tensor([0.1, 3.0, 1.0, 50.0, 7.0, 2.0], dtype=torch.float64)[:, None]
    one = cosface_norm_ratio_loss(feature, weight, label, NO_PAIRS).metric
    other = cosface_norm_ratio_loss(stretched, weight * 9, label, NO_PAIRS).metric
    assert one.item() == pytest.approx(other.item(), rel=1e-12)


def test_row_without_label_leaves_the_metric_unchanged():
    feature, weight, label, _ = batch()
    kept = cosface_norm_ratio_loss(feature[:5], weight, label[:5], NO_PAIRS).metric
    label[5] = -1
    assert cosface_norm_ratio_loss(feature, weight, label, NO_PAIRS).metric.item() == pytest.approx(
        kept.item()
    )


def test_pair_with_minus_one_leaves_the_ratio_unchanged():
    feature, weight, label, pairs = batch()
    padded = torch.cat([pairs, torch.tensor([[2, -1], [-1, -1]])])
    one = cosface_norm_ratio_loss(feature, weight, label, pairs).ratio
    assert cosface_norm_ratio_loss(feature, weight, label, padded).ratio.item() == one.item()


def test_no_label_and_no_pair_gives_zero_loss_and_zero_gradient():
    feature, weight, label, _ = batch()
    parts = cosface_norm_ratio_loss(feature, weight, torch.full_like(label, -1), NO_PAIRS)
    parts.total.backward()
    assert parts.total.item() == 0
    assert feature.grad.abs().max() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("zero_rows", [[0], [1], [0, 1, 2]])
def test_zero_row_stays_finite(dtype, zero_rows):
    feature, weight, label, pairs = batch(dtype=dtype)
    with torch.no_grad():
        feature[zero_rows] = 0
        weight[1] = 0
    parts = cosface_norm_ratio_loss(feature, weight, label, pairs)
    parts.total.backward()
    assert torch.isfinite(parts.total)
    assert torch.isfinite(feature.grad).all() and torch.isfinite(weight.grad).all()
    assert feature.grad[zero_rows].abs().max() == 0


@pytest.mark.parametrize("quotient", [1e-20, 1e-6, 1e6, 1e20])
def test_quotient_far_from_one_stays_finite(quotient):
    feature = torch.tensor([[quotient, 0.0], [0.0, 1.0]], requires_grad=True)
    parts = cosface_norm_ratio_loss(feature, torch.eye(2), torch.tensor([0, 1]), torch.tensor([[0, 1]]))
    parts.total.backward()
    assert 0 <= parts.ratio.item() <= math.e + 1e-6
    assert torch.isfinite(feature.grad).all()


def test_ratios_over_31_count_as_31():
    feature = torch.tensor([[500.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    parts = cosface_norm_ratio_loss(feature, feature, torch.tensor([0, 1]), torch.tensor([[0, 1]]))
    assert parts.ratio.item() == pytest.approx(math.exp(-30), rel=1e-9)


def test_equal_norms_cost_one_and_still_pull_apart():
    feature = torch.tensor([[0.0, 2.0], [2.0, 0.0]], requires_grad=True)
    parts = cosface_norm_ratio_loss(feature, torch.eye(2), torch.tensor([-1, -1]), torch.tensor([[0, 1]]))
    parts.ratio.backward()
    assert parts.ratio.item() == 1
    assert (
        feature.grad[0, 1] < 0 < feature.grad[1, 0]
    )  # down the gradient: the first grows, the second shrinks


def test_scale_64_does_not_overflow_in_half_precision():
    feature, weight, label, pairs = batch(dtype=torch.float32)
    half = cosface_norm_ratio_loss(feature.half(), weight.half(), label, pairs)
    full = cosface_norm_ratio_loss(feature, weight, label, pairs)
    assert half.total.dtype == torch.float32
    assert half.total.item() == pytest.approx(full.total.item(), rel=0.02)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"feature_ND": torch.ones(6)}, "feature_ND must be floating point with two dimensions"),
        ({"weight_CD": torch.ones(5, 3)}, "feature_ND has 4 columns but weight_CD has 3"),
        ({"label_N": torch.tensor([0, 1, 2, 3, 4, 5])}, r"label_N must lie in -1\.\.4 .* got 5"),
        ({"label_N": torch.zeros(6)}, "label_N must be int64"),
        ({"label_N": torch.zeros(5, dtype=torch.int64)}, r"label_N must be int64 of shape \(6\)"),
        ({"pair_index_P2": torch.tensor([[0, 6]])}, "pair_index_P2 must lie in"),
        ({"pair_index_P2": torch.tensor([[0, -2]])}, "pair_index_P2 must lie in .* got -2"),
        ({"pair_index_P2": torch.zeros(2, 3, dtype=torch.int64)}, r"pair_index_P2 must be int64 of shape"),
        ({"scale": -1.0}, "scale must be finite and not negative, got -1"),
        ({"margin": math.nan}, "margin must be finite and not negative, got nan"),
    ],
)
def test_wrong_argument_is_named_with_its_value(change, complaint):
    feature, weight, label, pairs = batch()
    given = {"feature_ND": feature, "weight_CD": weight, "label_N": label, "pair_index_P2": pairs} | change
    with pytest.raises(ValueError, match=complaint):
        cosface_norm_ratio_loss(**given)
