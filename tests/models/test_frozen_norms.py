"""Convs that do the work of frozen norms: the same rows, the same gradients, the same state."""

import copy

import pytest
import torch
from tiny_descriptor import make_descriptor
from torch import nn

from asl_fast.models import join_frozen_norms
from asl_fast.models.descriptor import make_backbone

# The last pads by itself, as the backbone of the shipped model does.
BACKBONES = [
    ("test_resnet", {}),
    ("test_efficientnet", {}),
    ("test_byobnet", {}),
    ("test_efficientnet", {"pad_type": "same"}),
]


def double_backbone(name, more):
    torch.manual_seed(0)
    model = make_backbone(name, 64, **more).double()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2)
            layer.weight.data.uniform_(0.5, 1.5)
            layer.bias.data.normal_(0, 0.1)
    return model


def train_with_frozen_statistics(model):
    model.train()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


@pytest.fixture
def pictures():
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(("name", "more"), BACKBONES)
def test_features_and_all_gradients_are_those_of_the_plain_model(name, more, pictures):
    plain = double_backbone(name, more)
    joined = copy.deepcopy(plain)
    names = list(plain.state_dict())
    assert join_frozen_norms(joined, pictures[:1]) > 10
    assert list(joined.state_dict()) == names
    told = []
    for model in (plain, joined):
        train_with_frozen_statistics(model)
        feature = model(pictures)
        weight = torch.linspace(-1, 1, feature.numel(), dtype=torch.float64).view_as(feature)
        (feature * weight).sum().backward()
        told.append([feature.detach()] + [parameter.grad for parameter in model.parameters()])
    for one, other in zip(*told, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9 * float(one.abs().max()))
    for key, value in plain.state_dict().items():
        assert torch.equal(value, joined.state_dict()[key]), key


def test_parameters_are_the_model_s_own_after_a_pass_that_failed(pictures):
    model = double_backbone("test_resnet", {})
    before = dict(model.named_parameters())
    join_frozen_norms(model, pictures[:1])
    with pytest.raises(RuntimeError):
        model(pictures[:, :2])  # two channels where three are due
    after = dict(model.named_parameters())
    assert after.keys() == before.keys() and all(after[name] is before[name] for name in before)


def test_a_copy_of_a_joined_model_reads_its_own_weights(pictures):
    model = double_backbone("test_resnet", {})
    join_frozen_norms(model, pictures[:1])
    expected = model(pictures)
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(copied(pictures), expected)


def test_nothing_is_recorded_below_the_first_parameter_that_is_trained():
    model = make_descriptor(backbone="test_efficientnet")
    frozen = list(model.backbone.parameters())[:-6]
    for parameter in frozen:
        parameter.requires_grad_(False)
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    join_frozen_norms(model, pixels)
    train_with_frozen_statistics(model)
    recorded = []
    for name, module in model.backbone.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda _, __, feature, name=name: recorded.append((name, feature.requires_grad))
            )
    model(pixels).sum().backward()
    sides = [side for _, side in recorded]
    assert sides == sorted(sides) and 0 < sum(sides) <= 3
    assert all(parameter.grad is None for parameter in frozen)


class ReadTwice(nn.Module):
    """A conv whose output is read by a norm and by a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.norm.running_var.fill_(9.0)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        feature = self.conv(pixels)
        return self.norm(feature) + feature


def test_a_conv_that_is_read_twice_stays_as_it_is(pictures):
    torch.manual_seed(0)
    module = ReadTwice().double().eval()
    before = module(pictures)
    assert join_frozen_norms(module, pictures) == 0
    assert torch.equal(module(pictures), before)
