"""Which views count as holding more content, and the module that owns the class weights."""

import pytest
import torch

from asl_fast.losses import AslLoss, LossSettings, content_pairs


def pairs(nest, area, visible=None):
    visible = [1.0] * len(area) if visible is None else visible
    found = content_pairs(torch.tensor(nest), torch.tensor(area), torch.tensor(visible))
    return [tuple(pair) for pair in found.tolist()]


def test_every_ordered_pair_of_unequal_area_counts():
    assert pairs([0, 0, 0], [1.0, 0.5, 0.3]) == [(0, 1), (0, 2), (1, 2)]


def test_larger_area_comes_first_whatever_the_order_of_views():
    assert pairs([0, 0], [0.3, 0.9]) == [(1, 0)]


def test_ties_make_no_pair():
    assert pairs([0, 0], [0.5, 0.5]) == []
    assert pairs([0, 0], [0.5, 0.5], [1.0, 0.7]) == []


def test_views_of_two_nests_make_no_pair():
    assert pairs([0, 1, -1, -1], [1.0, 0.5, 0.9, 0.2]) == []


def test_large_view_that_is_mostly_hidden_is_not_above_a_small_clean_one():
    assert pairs([0, 0], [1.0, 0.5], [0.4, 1.0]) == []
    assert pairs([0, 0], [1.0, 0.5], [0.6, 1.0]) == [(0, 1)]


def test_classes_started_at_their_rows_cost_less_than_random_ones():
    torch.manual_seed(0)
    row = torch.randn(8, 16)
    loss = AslLoss(8, 16)
    arguments = (torch.arange(8), torch.arange(8), torch.ones(8), torch.ones(8))
    before = loss(row, *arguments).metric.item()
    loss.start_at(row * 5)
    assert loss(row, *arguments).metric.item() < before / 2
    assert torch.allclose(loss.weight_CD.norm(dim=1), torch.ones(8))


def test_settings_reach_the_kernel():
    row = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    loss = AslLoss(2, 2, LossSettings(metric_weight=0.0, ratio_weight=3.0))
    parts = loss(row, torch.tensor([0, 0]), torch.tensor([0, 0]), torch.tensor([1.0, 0.5]), torch.ones(2))
    assert parts.total.item() == pytest.approx(3 * torch.exp(torch.tensor(-1.0)).item())


def test_margin_kind_reaches_the_kernel():
    row, ones = torch.tensor([[2.0, 1.0], [1.0, 3.0]]), torch.ones(2)
    costs = []
    for kind, margin in (("softmax", 0.0), ("cosface", 0.3), ("arcface", 0.3)):
        torch.manual_seed(0)
        loss = AslLoss(2, 2, LossSettings(scale=1.0, margin=margin, margin_kind=kind))
        costs.append(loss(row, torch.tensor([0, 1]), torch.tensor([-1, -1]), ones, ones).metric.item())
    assert len(set(costs)) == 3 and min(costs) == costs[0]


def test_start_rows_of_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"start rows must have shape \(8, 16\), got \(7, 16\)"):
        AslLoss(8, 16).start_at(torch.ones(7, 16))
