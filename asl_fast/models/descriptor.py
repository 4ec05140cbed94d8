"""The descriptor: pixels -> backbone -> GeM -> [projection] -> BN neck -> raw row.

A raw row carries two things: its direction says what the picture shows, its norm how much of the
original content it still holds. So nothing here divides by the norm.
"""

from __future__ import annotations

import difflib
from typing import Any

import timm
import torch
from torch import Tensor, nn

from asl_fast.models.config import DescriptorConfig
from asl_fast.models.gain import Gain
from asl_fast.models.pooling import GeM


class Descriptor(nn.Module):
    """A timm backbone with GeM pooling and a BN neck (affine weight trained, bias frozen at 0).

    forward(pixels_BCHW, uint8 or float, 0..255) -> row_BD, float32, not normalised.
    """

    def __init__(self, config: DescriptorConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = make_backbone(config.backbone, config.edge_px)
        width = self._width()
        self.pool = GeM(config.gem_p)
        self.project = nn.Linear(width, config.num_dims, bias=False) if config.num_dims else nn.Identity()
        self.neck = nn.BatchNorm1d(config.num_dims or width)
        self.neck.bias.requires_grad_(False)
        self.gain = Gain(self.neck.num_features, config.gain_width) if config.gain_width else nn.Identity()
        for name, value in (("mean", config.mean), ("std", config.std)):
            self.register_buffer(name, torch.tensor(value).mul(255).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    @property
    def num_dims(self) -> int:
        return int(self.neck.num_features)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        return self.gain(self.neck(self.before_neck(pixels_BCHW)).float())  # type: ignore[no-any-return]

    def before_neck(self, pixels_BCHW: Tensor) -> Tensor:
        """The pooled (and projected) rows whose statistics the neck divides out."""
        if pixels_BCHW.ndim != 4 or pixels_BCHW.shape[1] != 3:
            raise ValueError(f"pixels must have shape (B, 3, H, W), got {tuple(pixels_BCHW.shape)}")
        feature_BCP = self._places(self.backbone((pixels_BCHW.float() - self.mean) / self.std))
        return self.project(self.pool(feature_BCP))  # type: ignore[no-any-return]

    @torch.inference_mode()
    def _width(self) -> int:
        """Channels of the features, seen on a black picture: timm's models tell it in various places."""
        self.backbone.eval()
        try:
            feature = self.backbone(torch.zeros(1, 3, self.config.edge_px, self.config.edge_px))
        except (AssertionError, RuntimeError) as error:
            raise _cannot_be_made(self.config.backbone, self.config.edge_px, error) from error
        self.backbone.train()
        return int(self._places(feature).shape[1])

    def _places(self, feature: Tensor) -> Tensor:
        """Features as (B, C, P): of a conv net every cell, of a transformer every patch token."""
        if feature.ndim == 4:
            channels_last = getattr(self.backbone, "output_fmt", "NCHW") == "NHWC"
            return (feature.permute(0, 3, 1, 2) if channels_last else feature).flatten(2)
        if feature.ndim == 3:
            num_other = int(getattr(self.backbone, "num_prefix_tokens", 0))
            return feature[:, num_other:].transpose(1, 2)
        raise ValueError(
            f"backbone {self.config.backbone!r} gives features of shape {tuple(feature.shape)}, which cannot "
            "be pooled; choose one with a feature map (B, C, H, W) or tokens (B, T, C)"
        )


def check_backbone(name: str) -> None:
    """ValueError, with near names, if timm has no model of this name."""
    bare, _, tag = name.partition(".")
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{bare}.*")]
    if timm.is_model(bare) and (not tag or tag in tags):
        return
    if timm.is_model(bare):
        raise ValueError(f"backbone {bare!r} has no tag {tag!r} in timm; it has {', '.join(tags)}")
    near = difflib.get_close_matches(bare, timm.list_models(), n=3, cutoff=0.5)
    hint = f"near it: {', '.join(near)}" if near else "list them with timm.list_models()"
    raise ValueError(f"backbone {name!r} is unknown to timm {timm.__version__}; {hint}")


def make_backbone(name: str, edge_px: int, **more: Any) -> nn.Module:
    """The timm model without head and pooling; one with a fixed input size is made for `edge_px`."""
    check_backbone(name)
    source = timm.get_pretrained_cfg(name)
    if source is not None and source.fixed_input_size:
        more["img_size"] = edge_px
    try:
        model: nn.Module = timm.create_model(name, num_classes=0, global_pool="", **more)
    except (AssertionError, RuntimeError) as error:
        raise _cannot_be_made(name, edge_px, error) from error
    return model


def _cannot_be_made(name: str, edge_px: int, error: Exception) -> ValueError:
    reason = " ".join(str(error).split())
    return ValueError(f"backbone {name!r} cannot be made for {edge_px} px: {reason}")
