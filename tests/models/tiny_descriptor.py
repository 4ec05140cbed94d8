"""A tiny timm backbone with random weights: the real thing, in milliseconds."""

from __future__ import annotations

import torch

from asl_fast.models import Descriptor, DescriptorConfig

TINY = {"backbone": "test_resnet", "edge_px": 64}


def make_descriptor(**fields: object) -> Descriptor:
    """A descriptor whose norm layers have seen something, so that folding them or losing them shows."""
    torch.manual_seed(0)
    module = Descriptor(DescriptorConfig(**{**TINY, **fields}))
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2)
            layer.weight.data.uniform_(0.5, 1.5)
    return module.eval()
