"""The formula, in float64 and one tap at a time: the oracle of the tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def weight_gradient(
    input_BHWC: NDArray[np.float64],
    gradient_BHWC: NDArray[np.float64],
    kernel: int,
    stride: int,
    top: int,
    left: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(weight_CKK, bias_C) of `kernels.depthwise.weight_gradient`."""
    out_height, out_width, num_channels = gradient_BHWC.shape[1:]
    spare = kernel + stride * max(out_height, out_width)
    padded = np.pad(input_BHWC, ((0, 0), (top, spare), (left, spare), (0, 0)))
    weight_CKK = np.empty((num_channels, kernel, kernel))
    for y in range(kernel):
        for x in range(kernel):
            seen = padded[:, y : y + stride * out_height : stride, x : x + stride * out_width : stride]
            weight_CKK[:, y, x] = (seen * gradient_BHWC).sum((0, 1, 2))
    return weight_CKK, gradient_BHWC.sum((0, 1, 2))
