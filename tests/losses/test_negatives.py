"""Sampled negatives: which classes are drawn, and what the loss is on average."""

import pytest
import torch

from asl_fast.kernels.cosface_ratio.class_softmax import class_softmax
from asl_fast.losses import AslLoss, LossSettings
from asl_fast.losses.negatives import sampled_classes

NONE = torch.empty(0, dtype=torch.int64)
NO_PAIRS = torch.empty(0, 2, dtype=torch.int64)


def keys(num_keys):
    return torch.randint(2**63 - 1, (num_keys,), generator=torch.Generator().manual_seed(0)).tolist()


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_share_is_kept_and_classes_are_drawn_alike(share):
    count = torch.zeros(2000)
    for key in keys(400):
        count[sampled_classes(NONE, 2000, share, key)] += 1
    spread = (share * (1 - share) / 400) ** 0.5
    assert abs(count.mean() / 400 - share) < 5 * spread / 2000**0.5
    assert (count / 400 - share).abs().max() < 5 * spread
    assert (count / 400).var() == pytest.approx(spread**2, rel=0.2)


def test_neighbours_and_steps_are_drawn_independently():
    drawn = torch.zeros(200, 5000)
    for step, key in enumerate(keys(200)):
        drawn[step, sampled_classes(NONE, 5000, 0.5, key)] = 1
    drawn -= 0.5
    assert abs((drawn[:, 1:] * drawn[:, :-1]).mean()) < 0.25 * 5 / 1e6**0.5
    assert abs((drawn[1:] * drawn[:-1]).mean()) < 0.25 * 5 / 1e6**0.5


def test_keys_that_follow_one_another_draw_other_classes():
    one, other = (set(sampled_classes(NONE, 10_000, 0.5, key).tolist()) for key in (7, 8))
    assert 2300 < len(one & other) < 2700


def test_labels_are_always_there_and_numbers_rise():
    label = torch.tensor([5, -1, 17, 5, 99])
    for key in keys(20):
        drawn = sampled_classes(label, 100, 0.01, key).tolist()
        assert {5, 17, 99} <= set(drawn) and drawn == sorted(set(drawn))


def test_range_of_classes_draws_what_all_classes_draw():
    whole = sampled_classes(NONE, 1000, 0.2, 42)
    part = sampled_classes(NONE, 300, 0.2, 42, first=450)
    assert torch.equal(part + 450, whole[(whole >= 450) & (whole < 750)])


def test_sum_over_the_other_classes_is_the_share_of_the_exact_one_on_average():
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(400, 8, generator=generator, dtype=torch.float64)
    row = torch.randn(1, 8, generator=generator, dtype=torch.float64)
    label = torch.tensor([3])
    exact = class_softmax(row, weight, label, 4.0, 0.35, "cosface")[0].exp()
    sums = []
    for key in keys(1000):
        drawn = sampled_classes(label, 400, 0.25, key)
        own = torch.searchsorted(drawn, label)
        sums.append(class_softmax(row, weight[drawn], own, 4.0, 0.35, "cosface")[0].exp())
    sums = torch.stack(sums)
    assert abs(sums.mean() - 0.25 * exact) < 4 * sums.std() / len(sums) ** 0.5


def forward(loss, seed):
    torch.manual_seed(seed)
    row = torch.randn(6, 8, generator=torch.Generator().manual_seed(2)).requires_grad_()
    label = torch.tensor([0, 1, 1, 40, -1, 99])
    total = loss(row, label, NO_PAIRS).total
    loss.zero_grad()
    total.backward()
    return total.detach(), row.grad


def sampled_loss(share):
    torch.manual_seed(0)
    return AslLoss(100, 8, LossSettings(negative_share=share))


def test_seed_decides_which_classes_get_a_gradient():
    loss = sampled_loss(0.2)
    touched = []
    for seed in (1, 1, 2):
        forward(loss, seed)
        touched.append(loss.weight_CD.grad.abs().sum(1) > 0)
    assert torch.equal(touched[0], touched[1]) and not torch.equal(touched[0], touched[2])
    assert touched[0][[0, 1, 40, 99]].all() and 5 < touched[0].sum() < 45


def test_sampled_loss_is_the_exact_loss_of_the_classes_drawn():
    loss = sampled_loss(0.2)
    total, gradient = forward(loss, 1)
    touched = (loss.weight_CD.grad.abs().sum(1) > 0).nonzero()[:, 0]
    few = AslLoss(len(touched), 8)
    with torch.no_grad():
        few.weight_CD.copy_(loss.weight_CD[touched])
    row = torch.randn(6, 8, generator=torch.Generator().manual_seed(2)).requires_grad_()
    label = torch.tensor([0, 1, 1, 40, -1, 99])
    own = torch.where(label < 0, -1, torch.searchsorted(touched, label))
    exact = few(row, own, NO_PAIRS).total
    exact.backward()
    torch.testing.assert_close(total, exact.detach())
    torch.testing.assert_close(gradient, row.grad)
    torch.testing.assert_close(loss.weight_CD.grad[touched], few.weight_CD.grad)


def test_evaluation_sees_every_class():
    assert torch.equal(forward(sampled_loss(0.2).eval(), 1)[0], forward(sampled_loss(1.0), 1)[0])


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match=r"negative_share must be in \(0, 1\], got"):
        LossSettings(negative_share=share)
