"""The gap of norms: by hand, against the formula in float64 and numeric derivatives, and at the edges."""

import math

import pytest
import torch
from closeness import assert_as_close
from cosface_ratio_batch import NO_PAIRS, batch, plain, results

from asl_fast.kernels.cosface_ratio import cosface_norm_ratio_loss
from asl_fast.kernels.cosface_ratio.norm_gap import norm_gap

GAP_ALONE = {"scale": 64.0, "margin": 0.35, "metric_weight": 0.0, "ratio_weight": 0.0, "gap_weight": 1.3}


def gap_of(norms, pairs):
    return norm_gap(torch.tensor(norms, dtype=torch.float64), torch.tensor(pairs))


def test_gap_is_the_mean_of_the_absolute_logarithms():
    feature = torch.tensor([[3.0, 4.0], [0.0, 2.5], [20.0, 0.0]])  # norms 5, 2.5, 20
    evens = torch.tensor([[0, 1], [0, 2]])
    parts = cosface_norm_ratio_loss(
        feature, torch.eye(2), torch.tensor([-1, -1, -1]), NO_PAIRS, evens, gap_weight=2.0
    )
    assert parts.gap.item() == pytest.approx((math.log(2) + math.log(4)) / 2, rel=1e-6)
    assert parts.total.item() == pytest.approx(2 * parts.gap.item()) and parts.ratio.item() == 0


def test_gap_does_not_ask_which_comes_first():
    assert gap_of([2.0, 3.0], [[0, 1]]) == gap_of([2.0, 3.0], [[1, 0]]) == gap_of([3.0, 2.0], [[0, 1]]) > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(2, 2, 8), (37, 51, 33), (300, 97, 129)])
def test_value_and_gradients_are_as_close_as_the_plain_formula(shape, dtype):
    *arguments, _ = batch(*shape, dtype=dtype)
    evens = torch.randint(-1, shape[0], (3 * shape[0], 2), generator=torch.Generator().manual_seed(3))
    settings = GAP_ALONE | {"even_index_E2": evens}
    fast = results(cosface_norm_ratio_loss, *arguments, NO_PAIRS, **settings)
    rough = results(plain, *arguments, NO_PAIRS, **settings)
    exact = results(plain, arguments[0].double(), arguments[1].double(), arguments[2], NO_PAIRS, **settings)
    assert exact[1].abs().max() > 0
    for ours, theirs, true in zip(fast, rough, exact, strict=True):
        assert_as_close(ours, theirs, true)


def test_gradients_agree_with_numeric_derivatives():
    feature, weight, label, pairs = batch(6, 5, 4, torch.float64)
    evens = torch.tensor([[0, 1], [3, 2], [-1, 4], [0, 5]])

    def total(feature, weight):
        return cosface_norm_ratio_loss(feature, weight, label, pairs, evens, scale=8.0, gap_weight=0.7).total

    assert torch.autograd.gradcheck(total, (feature.requires_grad_(), weight.requires_grad_()))


def test_both_norms_are_drawn_together():
    feature = torch.tensor([[0.0, 4.0], [1.0, 0.0]], requires_grad=True)
    cosface_norm_ratio_loss(
        feature, torch.eye(2), torch.tensor([-1, -1]), NO_PAIRS, torch.tensor([[1, 0]])
    ).gap.backward()
    assert feature.grad[0, 1].item() == pytest.approx(1 / 4)  # down the gradient: the longer one shrinks
    assert feature.grad[1, 0].item() == pytest.approx(-1)  # and the shorter one grows


def test_equal_norms_cost_nothing_and_are_left_alone():
    norm = torch.tensor([2.0, 2.0, 7.0], requires_grad=True)
    gap = norm_gap(norm, torch.tensor([[0, 1], [2, 2]]))
    gap.backward()
    assert gap.item() == 0 and norm.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("norms", [[0.0, 1.0], [0.0, 0.0], [1e-30, 1e30], [1e-13, 1e-13]])
def test_norm_of_nothing_stays_finite(norms):
    norm = torch.tensor(norms, requires_grad=True)
    gap = norm_gap(norm, torch.tensor([[0, 1]]))
    gap.backward()
    assert torch.isfinite(gap) and torch.isfinite(norm.grad).all()
    assert norm.grad[norm < 1e-12].abs().sum() == 0


def test_pair_with_minus_one_leaves_the_gap_unchanged():
    assert gap_of([2.0, 3.0, 9.0], [[0, 1], [2, -1], [-1, -1]]) == gap_of([2.0, 3.0], [[0, 1]])
    assert gap_of([2.0, 3.0], [[0, -1]]) == 0


def test_gradient_has_the_same_bits_every_time():
    norm = torch.rand(50, generator=torch.Generator().manual_seed(0)).requires_grad_()
    pairs = torch.randint(0, 50, (20_000, 2), generator=torch.Generator().manual_seed(1))
    gradients = [torch.autograd.grad(norm_gap(norm, pairs), norm)[0] for _ in range(4)]
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # in opcheck itself
def test_operator_passes_the_checks_of_torch_library():
    norm = torch.rand(6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    torch.library.opcheck(norm_gap, (norm, torch.tensor([[0, 1], [-1, 2], [4, 3]])))


@pytest.mark.parametrize(
    ("evens", "complaint"),
    [
        (torch.tensor([[0, 6]]), r"even_index_E2 must lie in -1\.\.5 .* got 6"),
        (torch.zeros(2, 3, dtype=torch.int64), r"even_index_E2 must be int64 of shape \(any, 2\)"),
        (torch.zeros(2, 2), "even_index_E2 must be int64"),
    ],
)
def test_wrong_index_is_named_with_its_value(evens, complaint):
    with pytest.raises(ValueError, match=complaint):
        cosface_norm_ratio_loss(*batch(6, 5, 4), evens)
