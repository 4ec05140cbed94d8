"""Batch norms with frozen statistics, for training: one convolution in place of conv -> norm.

    weight' = weight * gamma / sqrt(var + eps)      bias' = beta + (bias - mean) * gamma / sqrt(var + eps)

are made anew in every forward pass, so weight, gamma and beta get the gradients they had. What that saves is
a pass over the features each way, and the memory of what the norm would keep for its backward pass.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from asl_fast.models.depthwise import depthwise_forward
from asl_fast.models.norm_pairs import join_norms


def join_frozen_norms(model: nn.Module, example: Tensor) -> int:
    """Let every conv do the work of the norm that alone reads it; state dict and parameters stay as they are.

    The norms then use their stored statistics also in training mode, and never change them.
    Returns how many there were; leaves `model` in eval mode.
    """
    return join_norms(model, example, _join)


def _join(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    conv.forward = _ConvWithNorm(conv, norm).forward  # type: ignore[method-assign, assignment]


class _ConvWithNorm:
    """No module, so that no state dict knows of it; a deep copy of the model has one of its own."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        self.conv = conv
        self.norm = norm

    def forward(self, feature: Tensor) -> Tensor:
        conv, norm = self.conv, self.norm
        weight, bias = conv.weight, conv.bias
        mean, var = norm.running_mean, norm.running_var
        assert mean is not None and var is not None
        scale = (var + norm.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight
        shift = -mean * scale if bias is None else (bias - mean) * scale
        if norm.bias is not None:
            shift = shift + norm.bias
        joined = weight * scale.view(-1, 1, 1, 1)
        output = depthwise_forward(conv, feature, joined, shift)
        if output is not None:
            return output
        # The conv's own forward knows its padding (timm's Conv2dSame pads by the input's size).
        own: dict[str, Any] = conv._parameters
        try:
            own.update(weight=joined, bias=shift)
            return type(conv).forward(conv, feature)
        finally:
            own.update(weight=weight, bias=bias)
