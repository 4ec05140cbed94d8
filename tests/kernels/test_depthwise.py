"""depthwise against its formula in float64, against PyTorch's gradients, and where it is not made for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from asl_fast import _C
from asl_fast.kernels.depthwise import KERNELS, Setting, depthwise, fits, weight_gradient
from asl_fast.kernels.depthwise.reference import weight_gradient as formula

PATHS = _C.depthwise_paths()


def out_edge(edge: int, kernel: int, stride: int, padding: int) -> int:
    return (edge + 2 * padding - kernel) // stride + 1


@given(
    st.integers(1, 20),
    st.integers(16, 70),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.sampled_from(KERNELS),
    st.integers(1, 2),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.sampled_from([torch.float32, torch.bfloat16]),
    st.integers(0, 99),
)
def test_the_weights_get_what_the_formula_says(
    num_images: int,
    num_channels: int,
    edges: tuple[int, int],
    kernel: int,
    stride: int,
    padding: tuple[int, int],
    kind: torch.dtype,
    seed: int,
) -> None:
    out = [out_edge(edge, kernel, stride, zeros) for edge, zeros in zip(edges, padding, strict=True)]
    if min(out) < 1:
        return
    generator = torch.Generator().manual_seed(seed)
    input_BCHW, gradient_BCHW = (
        torch.randn(num_images, num_channels, *size, generator=generator).to(kind) for size in (edges, out)
    )
    wanted_CKK, wanted_C = formula(
        input_BCHW.double().permute(0, 2, 3, 1).numpy(),
        gradient_BCHW.double().permute(0, 2, 3, 1).numpy(),
        kernel,
        stride,
        *padding,
    )
    for path in PATHS:
        weight_CKK, bias_C = weight_gradient(
            input_BCHW, gradient_BCHW, kernel, Setting(stride, *padding), _instructions=path
        )
        np.testing.assert_allclose(weight_CKK, wanted_CKK, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(bias_C, wanted_C, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("kind", "most"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=["float32", "bfloat16"]
)
def test_gradients_are_those_of_conv2d(kernel: int, stride: int, kind: torch.dtype, most: float) -> None:
    torch.manual_seed(0)
    input_BCHW = torch.randn(5, 24, 13, 9).to(memory_format=torch.channels_last)
    weight_C1KK, bias_C = torch.randn(24, 1, kernel, kernel), torch.randn(24)
    gradient = None
    found = []
    for compute in (depthwise, torch.conv2d):
        exact = compute is torch.conv2d
        leaves = [value.clone() for value in (input_BCHW, weight_C1KK, bias_C)]
        leaves[0] = leaves[0].to(kind)
        if exact:  # of the same numbers, rounded as the other path's are
            leaves = [leaves[0].double(), leaves[1].to(kind).double(), leaves[2].to(kind).double()]
        for leaf in leaves:
            leaf.requires_grad_()
        if exact:
            output = torch.conv2d(*leaves, stride, kernel // 2, groups=24)
        else:
            output = depthwise(*leaves, Setting(stride, kernel // 2, kernel // 2))
            assert output.dtype == kind
            gradient = torch.randn(output.shape).to(kind)
        assert gradient is not None
        output.backward(gradient.to(output.dtype))
        found.append([output.detach(), *(leaf.grad for leaf in leaves)])
    for own, wanted in zip(*found, strict=True):
        assert own is not None and wanted is not None
        assert (own.double() - wanted).abs().max() <= most * wanted.abs().max()


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    torch.manual_seed(0)
    input_BCHW, gradient_BCHW = torch.randn(2, 37, 40, 11, 11)
    setting, threads = Setting(1, 2, 2), torch.get_num_threads()
    found = []
    try:
        for num_threads in (1, 2, 5):
            torch.set_num_threads(num_threads)
            found.append(weight_gradient(input_BCHW, gradient_BCHW, 5, setting))
    finally:
        torch.set_num_threads(threads)
    for weight_CKK, bias_C in found[1:]:
        assert torch.equal(weight_CKK, found[0][0]) and torch.equal(bias_C, found[0][1])


def test_only_what_is_asked_for_is_computed() -> None:
    input_BCHW = torch.randn(2, 16, 6, 6, requires_grad=True)
    weight_C1KK = torch.randn(16, 1, 3, 3)
    depthwise(input_BCHW, weight_C1KK, None, Setting(1, 1, 1)).sum().backward()
    assert input_BCHW.grad is not None and weight_C1KK.grad is None


@pytest.mark.parametrize(
    ("convolution", "channels"),
    [
        (nn.Conv2d(16, 32, 3, groups=16), 16),
        (nn.Conv2d(16, 16, 3, groups=4), 16),
        (nn.Conv2d(8, 8, 3, groups=8), 8),
        (nn.Conv2d(16, 16, 4, groups=16), 16),
        (nn.Conv2d(16, 16, (3, 5), groups=16), 16),
        (nn.Conv2d(16, 16, 3, stride=3, groups=16), 16),
    ],
    ids=["two of a channel", "groups of 4", "8 channels", "even kernel", "oblong kernel", "stride 3"],
)
def test_other_convolutions_are_left_to_pytorch(convolution: nn.Conv2d, channels: int) -> None:
    input_BCHW = torch.randn(2, channels, 9, 9)
    setting = Setting(convolution.stride[0], 0, 0)
    assert not fits(input_BCHW, convolution.weight, setting)
    with pytest.raises(ValueError, match="depthwise: input must be float32 or bfloat16 on a CPU"):
        depthwise(input_BCHW, convolution.weight, None, setting)


def test_an_instruction_set_that_is_not_there_is_refused() -> None:
    input_BCHW = torch.randn(1, 16, 4, 4)
    with pytest.raises(ValueError, match="instructions 'abacus' can't run on this CPU"):
        weight_gradient(input_BCHW, input_BCHW, 3, Setting(1, 1, 1), _instructions="abacus")
