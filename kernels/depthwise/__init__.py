"""A depthwise convolution whose backward pass is fast on CPUs.

    y[b, i, j, c] = bias[c] + sum over (u, v) of w[c, u, v] x[b, s i + u - top, s j + v - left, c]
    dw[c, u, v]   = sum over (b, i, j) of dy[b, i, j, c] x[b, s i + u - top, s j + v - left, c]

Why it exists: small networks for CPUs consist of these, and PyTorch (oneDNN) has no fast path for their
backward pass where the kernel is 5 x 5, or the numbers are bfloat16. For 64 images of 8 x 8 x 672, 5 x 5, dw
takes it 11 ms in float32 and 40 ms in bfloat16 on two Zen 4 cores; here it is 1.4 and 1.0 ms. With it, mixed
precision takes the forward and backward pass of the small recipe's network from 0.44 to 0.26 s (64 views of
128 px); without, it saved nothing. For 3 x 3 in bfloat16 oneDNN is faster by a little
(benchmarks/bench_depthwise.py).

What stays PyTorch's: the forward pass; dx, which for strides above 1 is computed in float32 (in bfloat16 it
takes up to 200 times as long); and everything on other devices, of other kernels, of fewer than 16 channels.

What bounds its speed: B H' W' C K^2 multiply-adds of float32, and laying out B H W C numbers as float32.

Sums are of float32 and in one order, whatever the number of threads; instruction sets differ by rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from asl_fast import _C

WHO = "depthwise"
KERNELS, STRIDES, LEAST_CHANNELS = (3, 5, 7), (1, 2), 16
_STORED = {torch.float32: np.float32, torch.bfloat16: np.uint16}


class Setting(NamedTuple):
    """stride; top, left: rows and columns of zeros around the input, on both sides."""

    stride: int
    top: int
    left: int


def fits(input_BCHW: Tensor, weight_C1KK: Tensor, setting: Setting) -> bool:
    """Is it faster here than `torch.conv2d`, with gradients wanted?"""
    num_channels, per_group, height, width = weight_C1KK.shape
    return (
        input_BCHW.device.type == "cpu"
        and input_BCHW.dtype in _STORED
        and input_BCHW.shape[1] == num_channels >= LEAST_CHANNELS
        and per_group == 1
        and height == width
        and height in KERNELS
        and setting.stride in STRIDES
        and 0 not in input_BCHW.shape
    )


def depthwise(input_BCHW: Tensor, weight_C1KK: Tensor, bias_C: Tensor | None, setting: Setting) -> Tensor:
    """`torch.conv2d` with as many groups as channels, with gradients to its first derivative.

    Input float32 or bfloat16, best channels-last; the answer is of its type. Weights of any type.
    ValueError where `fits` says no.
    """
    if not fits(input_BCHW, weight_C1KK, setting):
        raise ValueError(
            f"{WHO}: input must be float32 or bfloat16 on a CPU with {LEAST_CHANNELS} channels or more, "
            f"kernels of {KERNELS} with strides of {STRIDES}, got {input_BCHW.dtype} "
            f"{tuple(input_BCHW.shape)} on {input_BCHW.device}, weights {tuple(weight_C1KK.shape)}, {setting}"
        )
    result: Tensor = _Depthwise.apply(input_BCHW, weight_C1KK, bias_C, setting)
    return result


def weight_gradient(
    input_BCHW: Tensor, gradient_BCHW: Tensor, kernel: int, setting: Setting, *, _instructions: str = ""
) -> tuple[Tensor, Tensor]:
    """(dw of shape (C, K, K), sum of the gradient for each channel), float32, of tensors of one type."""
    weight_CKK, bias_C = _C.depthwise_weight_gradient(
        _stored(input_BCHW), _stored(gradient_BCHW), kernel, *setting, torch.get_num_threads(), _instructions
    )
    return torch.from_numpy(weight_CKK), torch.from_numpy(bias_C)


def _stored(value_BCHW: Tensor) -> NDArray[Any]:
    """Channels-last, bfloat16 as its bits."""
    value_BHWC = value_BCHW.detach().permute(0, 2, 3, 1).contiguous()
    if value_BHWC.dtype == torch.bfloat16:
        return value_BHWC.view(torch.int16).numpy().view(np.uint16)
    return value_BHWC.numpy()


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *args: Any) -> Tensor:
        input_BCHW, weight_C1KK, bias_C, setting = args
        ctx.save_for_backward(input_BCHW, weight_C1KK)
        ctx.setting = setting
        ctx.bias_type = None if bias_C is None else bias_C.dtype
        bias = None if bias_C is None else bias_C.to(input_BCHW.dtype)
        with torch.autocast("cpu", enabled=False):
            return torch.conv2d(
                input_BCHW, weight_C1KK.to(input_BCHW.dtype), bias, setting.stride,
                (setting.top, setting.left), groups=input_BCHW.shape[1],
            )  # fmt: skip

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient_BCHW,) = gradients
        input_BCHW, weight_C1KK = ctx.saved_tensors
        of_input = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_input = _input_gradient(gradient_BCHW, input_BCHW, weight_C1KK, ctx.setting)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            kernel = weight_C1KK.shape[-1]
            weight_CKK, bias_C = weight_gradient(input_BCHW, gradient_BCHW, kernel, ctx.setting)
            of_weight = weight_CKK.to(weight_C1KK.dtype).unsqueeze(1)
            of_bias = None if ctx.bias_type is None else bias_C.to(ctx.bias_type)
        return of_input, of_weight, of_bias, None


def _input_gradient(
    gradient_BCHW: Tensor, input_BCHW: Tensor, weight_C1KK: Tensor, setting: Setting
) -> Tensor:
    kind = input_BCHW.dtype if setting.stride == 1 else torch.float32
    gradient = torch.ops.aten.convolution_backward(
        gradient_BCHW.to(kind), input_BCHW.to(kind), weight_C1KK.to(kind), None, [setting.stride] * 2,
        [setting.top, setting.left], [1, 1], False, [0, 0], input_BCHW.shape[1], [True, False, False],
    )[0]  # fmt: skip
    return gradient.to(input_BCHW.dtype)  # type: ignore[no-any-return]
