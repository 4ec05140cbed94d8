"""The Triton path: on a GPU if there is one, else in Triton's interpreter, at shapes that fit no tile.

The interpreter multiplies bfloat16 wrongly, so that type is tested on a GPU only.
"""

import math
import os

import pytest
import torch

ON_GPU = torch.cuda.is_available()
if not ON_GPU:
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported

from closeness import assert_as_close
from cosface_ratio_batch import MARGIN, batch, plain, plain_in_type, results

from asl_fast.kernels.cosface_ratio import MARGIN_KINDS, chunked, cosface_norm_ratio_loss, gpu, paths
from asl_fast.kernels.cosface_ratio.class_softmax import class_softmax

DEVICE = "cuda" if ON_GPU else "cpu"
TYPES = [torch.float32, torch.float16] + [torch.bfloat16] * ON_GPU


@pytest.fixture(autouse=True)
def triton_path(monkeypatch):
    monkeypatch.setattr(paths, "path_for", lambda weight_CD, dtype: gpu)


@pytest.fixture
def small_chunks(monkeypatch):
    """Scratch for chunks of 1024 classes, as a batch of thousands of rows would have."""
    monkeypatch.setattr(gpu, "SCRATCH_BYTES", 1)


def compare(arguments, **settings):
    settings = {"scale": 64.0, "metric_weight": 0.7, "ratio_weight": 1.3} | settings
    arguments = [value.to(DEVICE) for value in arguments]
    fast = results(cosface_norm_ratio_loss, *arguments, **settings)
    rough = results(plain_in_type, *arguments, **settings)
    exact = results(plain, arguments[0].double(), arguments[1].double(), *arguments[2:], **settings)
    for ours, theirs, true in zip(fast, rough, exact, strict=True):
        assert_as_close(ours, theirs, true)


@pytest.mark.parametrize("kind", MARGIN_KINDS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(1, 2, 8), (130, 257, 70), (67, 1100, 16)])
def test_value_and_gradients_are_as_close_as_the_plain_formula(shape, dtype, kind, small_chunks):
    compare(batch(*shape, dtype=dtype), margin=MARGIN[kind], margin_kind=kind)


@pytest.mark.skipif(not ON_GPU, reason="shapes for a GPU")
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    "shape", [(1, 100_003, 512), (512, 40_000, 2048), (8192, 3000, 65), (300, 1000, 4096)]
)
def test_large_shapes_are_as_close_as_the_plain_formula(shape, dtype):
    compare(batch(*shape, dtype=dtype), margin=0.35)


@pytest.mark.parametrize("weight_type", TYPES)
@pytest.mark.parametrize("feature_type", [torch.float32, torch.float16, torch.bfloat16])
def test_features_of_another_type_than_the_weights_are_taken(feature_type, weight_type):
    feature, weight, label, pairs = batch(20, 140, 24)
    if weight_type == torch.float16:
        feature[0] *= 3000  # beyond float16 where the features' type allows it
        pairs[:] = -1
    compare((feature.to(feature_type), weight.to(weight_type), label, pairs), margin=0.35)


def test_all_outputs_have_the_gradients_of_the_path_in_pytorch(monkeypatch, small_chunks):
    feature, weight, label, _ = (value.to(DEVICE) for value in batch(9, 1100, 20))
    gradients = []
    for path in (gpu, chunked):
        monkeypatch.setattr(paths, "path_for", lambda weight_CD, dtype, path=path: path)
        leaves = feature.clone().requires_grad_(), weight.clone().requires_grad_()
        outputs = class_softmax(*leaves, label, 20.0, 0.35, "cosface")
        sum((output * torch.arange(1, len(output) + 1, device=DEVICE)).sum() for output in outputs).backward()
        gradients.append([leaf.grad for leaf in leaves])
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5 * theirs.abs().max().item())


@pytest.mark.parametrize("trained", [(True, False), (False, True)])
def test_gradient_that_nobody_needs_is_left_out(trained):
    feature, weight, label, pairs = (value.to(DEVICE) for value in batch(5, 140, 16))
    both = results(cosface_norm_ratio_loss, feature, weight, label, pairs)[1:]
    leaves = [feature.requires_grad_(trained[0]), weight.requires_grad_(trained[1])]
    cosface_norm_ratio_loss(*leaves, label, pairs).total.backward()
    for leaf, whole, needed in zip(leaves, both, trained, strict=True):
        assert torch.equal(leaf.grad, whole) if needed else leaf.grad is None


@pytest.mark.parametrize("dtype", TYPES)
def test_same_input_gives_the_same_bits(dtype, small_chunks):
    arguments = [value.to(DEVICE) for value in batch(66, 1100, 16, dtype=dtype)]
    once, again = (results(cosface_norm_ratio_loss, *arguments) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(once, again, strict=True))


def test_sum_that_would_underflow_is_shifted_by_the_largest_logit():
    feature = torch.tensor([[1.0, 0.0], [0.0, 1.0]], device=DEVICE)
    weight = torch.tensor([[-1.0, 0.01]], device=DEVICE).repeat(50, 1)
    label = torch.tensor([0, -1], device=DEVICE)
    other_N = class_softmax(feature, weight, label, 5000.0, 0.35, "cosface")[0].cpu()
    length = math.hypot(1, 0.01)
    expected_N = torch.tensor([-5000 / length + math.log(49), 50 / length + math.log(50)])
    assert torch.allclose(other_N, expected_N, rtol=1e-5)


def test_only_class_costs_nothing_and_pulls_nowhere():
    feature, weight, label, pairs = (value.to(DEVICE) for value in batch(3, 1, 8))
    total, *gradients = results(cosface_norm_ratio_loss, feature, weight, label, pairs * 0 - 1)
    assert total == 0 and all(gradient.abs().max() == 0 for gradient in gradients)


def test_memory_that_comes_poisoned_is_never_read(monkeypatch):
    """Scratch comes uninitialised and longer than the classes: NaN there must not reach a result."""
    arguments = [value.to(DEVICE) for value in batch(5, 70, 16)]
    clean = results(cosface_norm_ratio_loss, *arguments)
    empty = torch.Tensor.new_empty

    def poisoned(self, *size, **settings):
        value = empty(self, *size, **settings)
        return value.fill_(math.nan) if value.is_floating_point() else value

    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned)
    again = results(cosface_norm_ratio_loss, *arguments)
    assert all(torch.equal(one, other) for one, other in zip(clean, again, strict=True))
