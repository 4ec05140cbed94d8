"""The operators: against the formula in float64, under PyTorch's own checks, and at the edges."""

import math

import pytest
import torch
from closeness import assert_as_close
from cosface_ratio_batch import MARGIN, NO_PAIRS, batch, plain, results

from asl_fast.kernels.cosface_ratio import MARGIN_KINDS, chunked, cosface_norm_ratio_loss
from asl_fast.kernels.cosface_ratio.class_softmax import class_softmax
from asl_fast.kernels.cosface_ratio.norm_ratio import norm_ratio


@pytest.mark.parametrize("kind", MARGIN_KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 2, 8), (7, 3, 9), (37, 5001, 33), (300, 97, 129), (3, 40_001, 31)])
def test_value_and_gradients_are_as_close_as_the_plain_formula(shape, dtype, kind):
    arguments = batch(*shape, dtype=dtype)
    settings = {
        "scale": 64.0, "margin": MARGIN[kind], "margin_kind": kind, "metric_weight": 0.7, "ratio_weight": 1.3,
    }  # fmt: skip
    fast = results(cosface_norm_ratio_loss, *arguments, **settings)
    rough = results(plain, *arguments, **settings)
    exact = results(plain, arguments[0].double(), arguments[1].double(), *arguments[2:], **settings)
    for ours, theirs, true in zip(fast, rough, exact, strict=True):
        assert ours.dtype == theirs.dtype
        assert_as_close(ours, theirs, true)


@pytest.mark.parametrize("kind", MARGIN_KINDS)
def test_gradients_of_every_output_agree_with_numeric_derivatives(kind, monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK_ELEMENTS", 1)  # 64 classes a chunk: one chunk and a rest
    feature, weight, label, pairs = batch(4, 70, 3, torch.float64)

    def outputs(feature, weight):
        *softmax, norm_N, norm_C = class_softmax(feature, weight, label, 5.0, MARGIN[kind], kind)
        return *softmax, norm_N, norm_C, norm_ratio(norm_N, pairs)

    assert torch.autograd.gradcheck(outputs, (feature.requires_grad_(), weight.requires_grad_()))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # in opcheck itself
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_operators_pass_the_checks_of_torch_library(dtype):
    feature, weight, label, pairs = batch(6, 20, 8, dtype)
    feature.requires_grad_()
    weight.requires_grad_()
    torch.library.opcheck(class_softmax, (feature, weight, label, 64.0, 0.35, "cosface"))
    norm = feature.detach().float().norm(dim=1).requires_grad_()
    torch.library.opcheck(norm_ratio, (norm, pairs))


@pytest.mark.parametrize("trained", [(True, True), (True, False), (False, True)])
def test_compiled_loss_is_one_graph_with_the_same_results(trained):
    feature, weight, label, pairs = batch(6, 20, 8)
    compiled = torch.compile(cosface_norm_ratio_loss, fullgraph=True, backend="aot_eager")
    answers = []
    for loss in (cosface_norm_ratio_loss, compiled):
        leaves = [feature.clone().requires_grad_(trained[0]), weight.clone().requires_grad_(trained[1])]
        loss(*leaves, label, pairs).total.backward()
        answers.append([leaf.grad for leaf in leaves])
    for one, other, needed in zip(*answers, trained, strict=True):
        assert (one is not None and torch.equal(one, other)) if needed else one is other is None


def test_shards_joined_by_the_chain_rule_are_the_whole():
    feature, weight, label, _ = batch(9, 301, 16, torch.float64)
    whole = class_softmax(feature, weight, label, 30.0, 0.35, "cosface")
    other, target = [], []
    for start, stop in ((0, 7), (7, 300), (300, 301)):
        local = torch.where((label >= start) & (label < stop), label - start, -1)
        outputs = class_softmax(feature, weight[start:stop], local, 30.0, 0.35, "cosface")
        other.append(outputs[0])
        target.append(outputs[1])
    assert torch.allclose(torch.stack(other).logsumexp(0), whole[0], rtol=1e-12)
    assert torch.equal(torch.stack(target).sum(0), whole[1])


@pytest.mark.parametrize("scale", [64.0, 300.0, 5000.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sum_that_would_underflow_is_shifted_by_the_largest_logit(scale, dtype):
    feature = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=dtype)
    weight = torch.tensor([[-1.0, 0.01]], dtype=dtype).repeat(50, 1)
    other_N, target_N, *_ = class_softmax(feature, weight, torch.tensor([0, -1]), scale, 0.35, "cosface")
    length = math.hypot(1, 0.01)
    assert target_N[0].item() == pytest.approx(scale * (-1 / length - 0.35), rel=1e-5)
    assert other_N[0].item() == pytest.approx(-scale / length + math.log(49), rel=1e-5)
    assert other_N[1].item() == pytest.approx(scale * 0.01 / length + math.log(50), rel=1e-5)


def test_only_class_costs_nothing_and_pulls_nowhere():
    feature, weight, _, _ = batch(3, 1, 8)
    label = torch.tensor([0, -1, 0])
    total, *gradients = results(cosface_norm_ratio_loss, feature, weight, label, NO_PAIRS)
    assert total == 0
    assert all(gradient.abs().max() == 0 for gradient in gradients)


def test_same_input_gives_the_same_bits():
    arguments = batch(200, 20_000, 64)
    settings = {"scale": 64.0, "margin": 0.35}
    once = results(cosface_norm_ratio_loss, *arguments, **settings)
    for _ in range(3):
        again = results(cosface_norm_ratio_loss, *arguments, **settings)
        assert all(torch.equal(one, other) for one, other in zip(once, again, strict=True))


def test_gradient_of_many_pairs_has_the_same_bits_every_time():
    generator = torch.Generator().manual_seed(3)
    norm = (torch.rand(50, generator=generator) + 0.1).requires_grad_()
    pairs = torch.randint(0, 50, (100_000, 2), generator=generator)
    gradients = [torch.autograd.grad(norm_ratio(norm, pairs), norm)[0] for _ in range(5)]
    assert all(torch.equal(gradients[0], gradient) for gradient in gradients)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["feature_ND", "weight_CD"])
def test_row_that_is_not_finite_is_named(name, bad):
    feature, weight, label, _ = batch(6, 20, 8)
    (feature if name == "feature_ND" else weight)[5, 3] = bad
    with pytest.raises(ValueError, match=f"{name} must be finite.* got a norm of (nan|inf) in row 5"):
        cosface_norm_ratio_loss(feature, weight, label, NO_PAIRS)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"margin_kind": "sphere"}, "margin_kind must be one of cosface, arcface, softmax, got 'sphere'"),
        ({"margin_kind": "softmax", "margin": 0.1}, "margin must be 0 with margin_kind 'softmax', got 0.1"),
        ({"margin_kind": "arcface", "margin": 1.6}, "margin of arcface is an angle .* got 1.6"),
    ],
)
def test_margin_that_a_kind_cannot_take_is_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        cosface_norm_ratio_loss(*batch(6, 20, 8), **settings)


@pytest.mark.parametrize("cosine", [-1.0, -0.99, 0.3, 1.0])
def test_arcface_at_the_ends_of_the_cosine_stays_finite(cosine):
    feature = torch.tensor([[cosine, math.sqrt(1 - cosine**2)]], requires_grad=True)
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    parts = cosface_norm_ratio_loss(
        feature, weight, torch.tensor([0]), NO_PAIRS, margin=0.5, margin_kind="arcface"
    )
    parts.total.backward()
    assert torch.isfinite(parts.total)
    assert torch.isfinite(feature.grad).all() and torch.isfinite(weight.grad).all()
