"""Depthwise convolutions of timm's and PyTorch's, through the kernel whose backward pass is fast on CPUs."""

from __future__ import annotations

from timm.layers import Conv2dSame
from timm.layers.padding import pad_same
from torch import Tensor, nn

from asl_fast.kernels.depthwise import Setting, depthwise, fits


def depthwise_forward(
    conv: nn.Conv2d, feature_BCHW: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor | None:
    """What `conv` would give with this weight and bias, or None if the kernel isn't made for it."""
    same = isinstance(conv, Conv2dSame)  # pads by the input's size, maybe more behind than in front
    if type(conv) not in (nn.Conv2d, Conv2dSame) or conv.padding_mode != "zeros":
        return None
    if isinstance(conv.padding, str) or conv.dilation != (1, 1) or conv.stride[0] != conv.stride[1]:
        return None
    top, left = (0, 0) if same else conv.padding
    setting = Setting(conv.stride[0], top, left)
    if not fits(feature_BCHW, weight, setting):
        return None
    if same:
        feature_BCHW = pad_same(feature_BCHW, list(conv.kernel_size), list(conv.stride), list(conv.dilation))
    return depthwise(feature_BCHW, weight, bias, setting)
