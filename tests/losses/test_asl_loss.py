"""Which views count as holding more content, and the module that owns the class weights."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asl_fast.losses import AslLoss, LossSettings, content_pairs, even_pairs, over_pairs

NO_PAIRS = torch.empty(0, 2, dtype=torch.int64)
SHARES = st.floats(0, 1, width=32)


def listed(index_P2):
    assert index_P2.dtype == torch.int64 and index_P2.shape[1] == 2
    return [tuple(pair) for pair in index_P2.tolist()]


def pairs(nest, area, visible=None, ordered_by="both"):
    area = torch.tensor(area)
    content = area * (torch.ones(len(area)) if visible is None else torch.tensor(visible))
    return listed(content_pairs(torch.tensor(nest), area, content, ordered_by))


def test_every_ordered_pair_of_unequal_area_counts():
    assert pairs([0, 0, 0], [1.0, 0.5, 0.3]) == [(0, 1), (0, 2), (1, 2)]


def test_larger_area_comes_first_whatever_the_order_of_views():
    assert pairs([0, 0], [0.3, 0.9]) == [(1, 0)]


def test_ties_make_no_pair():
    for ordered_by in ("both", "area", "content"):
        assert pairs([0, 0], [0.5, 0.5], ordered_by=ordered_by) == []
    assert pairs([0, 0], [0.5, 0.5], [1.0, 0.7]) == []


def test_views_of_two_nests_make_no_pair():
    assert pairs([0, 1, -1, -1], [1.0, 0.5, 0.9, 0.2]) == []


def test_large_view_that_is_mostly_hidden_is_above_a_small_clean_one_by_area_alone():
    half_hidden, clean = [1.0, 0.5], [0.4, 1.0]
    assert pairs([0, 0], half_hidden, clean) == []
    assert pairs([0, 0], half_hidden, clean, "area") == [(0, 1)]
    assert pairs([0, 0], half_hidden, clean, "content") == [(1, 0)]
    assert pairs([0, 0], [1.0, 0.5], [0.6, 1.0]) == [(0, 1)]


def test_content_that_differs_by_rounding_makes_no_pair():
    nest, area = torch.tensor([0, 0]), torch.tensor([0.5, 0.4], dtype=torch.float64)
    content = torch.tensor([0.3 + 1e-12, 0.3], dtype=torch.float64)
    for ordered_by in ("both", "content"):
        assert listed(content_pairs(nest, area, content, ordered_by)) == []
    assert listed(content_pairs(nest, area, content, "area")) == [(0, 1)]


def test_order_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="ordered_by must be one of both, area, content, got 'size'"):
        pairs([0], [1.0], ordered_by="size")


def test_view_stands_over_those_that_keep_no_larger_a_share_of_the_other_photo():
    nest = torch.tensor([0, 0, 1, 1, 2, 2])
    content = torch.tensor([1.0, 0.5, 1.0, 0.6, 1.0, 0.2])
    over = over_pairs(nest, content, torch.tensor([[0, 1]]))
    assert listed(over) == [(0, 2), (0, 3)]
    assert listed(over_pairs(nest, content, torch.tensor([[2, 0], [1, 2]]))) == [
        (2, 4), (2, 5), (3, 5), (4, 0), (4, 1),
    ]  # fmt: skip


def test_shares_are_measured_against_the_fullest_view():
    """A model that takes the middle of a wide photo never sees all of it."""
    nest, content = torch.tensor([0, 0, 1, 1]), torch.tensor([0.6, 0.3, 1.0, 0.44])
    assert listed(over_pairs(nest, content, torch.tensor([[0, 1]]))) == [(0, 2), (0, 3), (1, 3)]
    assert listed(even_pairs(nest, content, torch.tensor([[0, 1]]))) == [(0, 2)]


def test_only_views_of_about_the_same_share_are_compared_as_even():
    nest, content = torch.tensor([0, 0, 1, 1]), torch.tensor([1.0, 0.5, 0.96, 0.51])
    assert listed(even_pairs(nest, content, torch.tensor([[0, 1]]))) == [(0, 2), (1, 3)]


def test_no_hard_negative_is_no_pair():
    nest, content, none = torch.tensor([0, 0, 1, 1]), torch.ones(4), torch.empty(0, 2, dtype=torch.int64)
    assert listed(over_pairs(nest, content, none)) == listed(even_pairs(nest, content, none)) == []


def test_views_that_show_nothing_are_no_trouble():
    nest, content = torch.tensor([0, 1]), torch.zeros(2)
    assert listed(over_pairs(nest, content, torch.tensor([[0, 1]]))) == [(0, 1)]
    assert listed(content_pairs(nest, content, content)) == []


@given(st.lists(st.tuples(st.integers(-1, 3), SHARES, SHARES), min_size=1, max_size=12))
def test_pairs_are_those_of_a_loop_over_all(views):
    nest, area, content = (torch.tensor(column) for column in zip(*views, strict=True))
    rows = range(len(views))

    def share(row):
        fullest = max(content[other].item() for other in rows if nest[other] == nest[row])
        return content[row] / fullest if fullest > 0 else torch.tensor(0.0)

    both, across, even = [], [], []
    for i, j in itertools.product(rows, rows):
        if nest[i] == nest[j] >= 0 and area[i] > area[j] and content[i] > (1 + 1e-6) * content[j]:
            both.append((i, j))
        if (nest[i], nest[j]) in ((1, 0), (2, 3)):
            if share(i) >= share(j):
                across.append((i, j))
            if min(share(i), share(j)) >= 0.9 * max(share(i), share(j)):
                even.append((i, j))
    nests = torch.tensor([[1, 0], [2, 3]])
    assert listed(content_pairs(nest, area, content)) == both
    assert listed(over_pairs(nest, content, nests)) == across
    assert listed(even_pairs(nest, content, nests)) == even


def test_classes_started_at_their_rows_cost_less_than_random_ones():
    torch.manual_seed(0)
    row = torch.randn(8, 16)
    loss = AslLoss(8, 16)
    arguments = (torch.arange(8), NO_PAIRS)
    before = loss(row, *arguments).metric.item()
    loss.start_at(row * 5)
    assert loss(row, *arguments).metric.item() < before / 2
    assert torch.allclose(loss.weight_CD.norm(dim=1), torch.ones(8))


def test_settings_reach_the_kernel():
    row = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    over = torch.tensor([[0, 1]])
    loss = AslLoss(2, 2, LossSettings(metric_weight=0.0, ratio_weight=3.0, gap_weight=5.0))
    label = torch.tensor([0, 0])
    assert loss(row, label, over).total.item() == pytest.approx(3 * math.exp(-1))
    assert loss(row, label, NO_PAIRS, over.flip(1)).total.item() == pytest.approx(5 * math.log(2))


def test_margin_kind_reaches_the_kernel():
    row = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    costs = []
    for kind, margin in (("softmax", 0.0), ("cosface", 0.3), ("arcface", 0.3)):
        torch.manual_seed(0)
        loss = AslLoss(2, 2, LossSettings(scale=1.0, margin=margin, margin_kind=kind))
        costs.append(loss(row, torch.tensor([0, 1]), NO_PAIRS).metric.item())
    assert len(set(costs)) == 3 and min(costs) == costs[0]


def test_start_rows_of_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"start rows must have shape \(8, 16\), got \(7, 16\)"):
        AslLoss(8, 16).start_at(torch.ones(7, 16))
