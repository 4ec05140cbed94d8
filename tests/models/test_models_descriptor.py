"""The network: shapes, pooling, neck, fused norms."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny_descriptor import make_descriptor

from asl_fast.models import Descriptor, DescriptorConfig, GeM, fuse_norms
from asl_fast.models.norm_pairs import norm_pairs


@pytest.mark.parametrize(
    ("backbone", "num_dims"),
    [("test_resnet", 96), ("test_vit", 64), ("test_efficientnet", 256), ("test_mambaout", 256)],
)
def test_every_kind_of_feature_map_gives_finite_rows(backbone, num_dims, pixels):
    module = make_descriptor(backbone=backbone)
    with torch.inference_mode():
        row_BD = module(pixels)
    assert row_BD.shape == (3, num_dims) and row_BD.dtype == torch.float32
    assert module.num_dims == num_dims
    assert torch.isfinite(row_BD).all() and not torch.allclose(row_BD[0], row_BD[1])


def test_a_transformer_pools_patches_and_not_its_class_token(pixels):
    module = make_descriptor(backbone="test_vit")
    with torch.inference_mode():
        tokens_BTC = module.backbone((pixels.float() - module.mean) / module.std)
        expected_BD = module.neck(tokens_BTC[:, 1:].clamp(min=1e-6).pow(3).mean(1).pow(1 / 3))
        torch.testing.assert_close(module(pixels), expected_BD)


def test_bytes_and_floats_of_one_picture_give_one_row(tiny, pixels):
    with torch.inference_mode():
        torch.testing.assert_close(tiny(pixels), tiny(pixels.float()), rtol=0, atol=0)


def test_the_row_is_the_formula_of_the_paper(tiny, pixels):
    with torch.inference_mode():
        feature_BCHW = tiny.backbone((pixels.float() / 255 - 0.5) / 0.5).double()
        pooled_BC = feature_BCHW.clamp(min=1e-6).pow(3).mean(dim=(2, 3)).pow(1 / 3)
        neck = tiny.neck
        scale_D = neck.weight / torch.sqrt(neck.running_var + neck.eps)
        expected_BD = (pooled_BC - neck.running_mean) * scale_D
    torch.testing.assert_close(tiny(pixels).double(), expected_BD.double(), rtol=1e-4, atol=1e-4)


def test_rows_are_not_normalised(tiny, pixels):
    with torch.inference_mode():
        norm_B = tiny(pixels).norm(dim=1)
    assert not torch.allclose(norm_B, torch.ones(3))


def test_projection_sets_the_length_of_a_row(pixels):
    module = make_descriptor(num_dims=24)
    assert module.num_dims == 24 and module(pixels).shape == (3, 24)


def test_the_neck_learns_scales_but_no_shift(tiny, pixels):
    tiny.train()
    tiny(pixels).square().sum().backward()
    assert tiny.neck.weight.grad is not None and tiny.pool.p.grad is not None
    assert tiny.neck.bias.grad is None and not tiny.neck.bias.any()


def test_gem_with_power_one_is_the_mean_and_with_a_large_one_the_maximum():
    feature_BCP = torch.rand(2, 5, 9)
    torch.testing.assert_close(GeM(1.0)(feature_BCP), feature_BCP.mean(dim=2))
    torch.testing.assert_close(GeM(200.0)(feature_BCP), feature_BCP.amax(dim=2), rtol=0.02, atol=0)


def test_gem_survives_half_precision():
    feature_BCP = torch.full((1, 2, 4), 100.0, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(GeM(3.0)(feature_BCP), torch.full((1, 2), 100.0))


def test_unknown_backbone_names_near_ones():
    with pytest.raises(ValueError, match=r"'resnet5' is unknown.*resnet50"):
        Descriptor(DescriptorConfig(backbone="resnet5"))


def test_unknown_tag_names_the_known_ones():
    with pytest.raises(ValueError, match="no tag 'nope' in timm; it has r160_in1k"):
        Descriptor(DescriptorConfig(backbone="test_resnet.nope"))


def test_a_hub_address_is_no_backbone():
    with pytest.raises(ValueError, match="unknown"):
        Descriptor(DescriptorConfig(backbone="hf-hub:someone/something"))


def test_a_size_that_the_backbone_cannot_take_is_told():
    with pytest.raises(ValueError, match="'test_maxvit' cannot be made for 40 px"):
        Descriptor(DescriptorConfig(backbone="test_maxvit", edge_px=40))


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet", "test_vit", "test_byobnet"])
def test_fused_norms_keep_the_rows(backbone, pixels):
    module = make_descriptor(backbone=backbone)
    with torch.inference_mode():
        before = module(pixels)
        after = fuse_norms(copy.deepcopy(module), pixels)(pixels)
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)


def test_every_norm_of_a_resnet_is_fused(tiny, pixels):
    norms = [layer for layer in tiny.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    with torch.inference_mode():
        assert len(norm_pairs(tiny, pixels)) == len(norms) > 10


class ReadTwice(torch.nn.Module):
    """A conv whose output is read by a norm and by a sum: folding the norm into it would change the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)
        self.norm.running_var.fill_(9.0)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        feature = self.conv(pixels.float())
        return (self.norm(feature) + feature).mean(dim=(2, 3))


def test_a_conv_that_is_read_twice_stays_as_it_is(pixels):
    torch.manual_seed(0)
    module = ReadTwice().eval()
    with torch.inference_mode():
        before = module(pixels)
        torch.testing.assert_close(fuse_norms(module, pixels)(pixels), before, rtol=0, atol=0)
