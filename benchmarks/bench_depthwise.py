"""What a depthwise convolution's weights get in the backward pass, beside PyTorch's own path (oneDNN).

    pytest benchmarks/bench_depthwise.py --benchmark-group-by=param:layer,param:kind

The layers are EfficientNet-Lite0's at 128 px, 64 images, from the last third of the network.
"""

import pytest
import torch

from asl_fast.kernels.depthwise import Setting, weight_gradient

LAYERS = {  # channels, edge, kernel, stride
    "240 x 16 x 16, 5 x 5": (240, 16, 5, 1),
    "480 x 8 x 8, 3 x 3": (480, 8, 3, 1),
    "672 x 8 x 8, 5 x 5": (672, 8, 5, 1),
    "672 x 8 x 8, 5 x 5 / 2": (672, 8, 5, 2),
    "1152 x 4 x 4, 5 x 5": (1152, 4, 5, 1),
}


@pytest.mark.parametrize("engine", ["asl_fast", "torch"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("layer", LAYERS)
def test_weight_gradient(benchmark, layer, kind, engine):
    torch.manual_seed(0)
    channels, edge, kernel, stride = LAYERS[layer]
    input_BCHW = torch.randn(64, channels, edge, edge).to(kind).to(memory_format=torch.channels_last)
    weight_C1KK = torch.randn(channels, 1, kernel, kernel).to(kind)
    places = [stride] * 2, [kernel // 2] * 2
    gradient_BCHW = torch.conv2d(input_BCHW, weight_C1KK, None, *places, groups=channels).sin()

    def torchs():
        return torch.ops.aten.convolution_backward(
            gradient_BCHW, input_BCHW, weight_C1KK, None, *places, [1, 1], False, [0, 0], channels,
            [False, True, False],
        )[1].squeeze(1)  # fmt: skip

    def ours():
        return weight_gradient(input_BCHW, gradient_BCHW, kernel, Setting(stride, kernel // 2, kernel // 2))[
            0
        ]

    found = benchmark(ours if engine == "asl_fast" else torchs)
    difference = (found.float() - torchs().float()).abs().max() / found.abs().max()
    assert difference < (1e-4 if kind == torch.float32 else 2e-2)
