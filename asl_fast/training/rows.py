"""Raw rows of whole pictures, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from asl_fast.edits import Pixels
from asl_fast.images import Resize

_AT_ONCE = 32


@torch.inference_mode()
def rows_of(
    descriptor: nn.Module, resize: Resize, images: Sequence[Pixels], device: torch.device
) -> NDArray[np.float32]:
    """(N, D) rows of the images as the descriptor gives them in use."""
    descriptor.eval()
    rows = []
    for first in range(0, len(images), _AT_ONCE):
        pixels_BHWC = np.stack([resize(image) for image in images[first : first + _AT_ONCE]])
        rows.append(descriptor(torch.from_numpy(pixels_BHWC).permute(0, 3, 1, 2).to(device)).cpu().numpy())
    return np.concatenate(rows).astype(np.float32)
