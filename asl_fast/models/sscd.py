"""SSCD's published TorchScript files, as they are (Pizzi et al. 2022): another network to search with."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from asl_fast.models.config import DescriptorConfig
from asl_fast.models.storage import FINGERPRINT_DIGITS, Loaded

# "small edge 288, or 320 x 320 square with ISC-like data" says the model card; the square form is faster
EDGE_PX = 320
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ScriptedDescriptor(nn.Module):
    """forward(pixels_BCHW, 0..255) -> row_BD of a TorchScript file that wants ImageNet-normalised pixels."""

    def __init__(self, script: Any, config: DescriptorConfig) -> None:
        super().__init__()
        self.script = script
        for name, value in (("mean", config.mean), ("std", config.std)):
            self.register_buffer(name, torch.tensor(value).mul(255).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        row_BD: Tensor = self.script((pixels_BCHW.float() - self.mean) / self.std)
        return row_BD.float()


def load_torchscript(path: str | Path, who: str) -> Loaded:
    """The network in a TorchScript file. ValueError, beginning with `who`, if it is no image descriptor."""
    file = Path(path)
    try:
        with warnings.catch_warnings():  # torch asks authors to leave TorchScript; a file's user can't
            warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)
            warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
            script = torch.jit.load(str(file), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{who} is no TorchScript file ({reason}); give one that torch.jit.save wrote, or a model folder"
        ) from None
    config = DescriptorConfig(
        backbone=f"torchscript:{file.name}",
        edge_px=EDGE_PX,
        mean=MEAN,
        std=STD,
        note="TorchScript file with SSCD's interface: ImageNet normalisation in, one row out",
    )
    module = ScriptedDescriptor(script, config).eval()
    probe_2D = _probe(module, who)
    if probe_2D.ndim != 2 or len(probe_2D) != 2:
        raise ValueError(f"{who} gives {tuple(probe_2D.shape)} for two pictures; it must give rows (2, D)")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    text = DescriptorConfig.what_shapes_rows(config).replace(file.name, "") + digest
    return Loaded(module, config, hashlib.sha256(text.encode()).hexdigest()[:FINGERPRINT_DIGITS])


def has_unit_rows(module: nn.Module, edge_px: int) -> bool:
    """True if the network normalises its rows: then every norm is 1 and their ratio tells nothing."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, 3, edge_px, edge_px), generator=generator).float()
    pixels[1] = pixels[1] / 8 + 100  # a flat picture: only normalised rows are as long as before
    with torch.inference_mode():
        norm_2 = module(pixels).double().norm(dim=1)
    return bool(((norm_2 - 1).abs() < 1e-3).all())


def _probe(module: nn.Module, who: str) -> Tensor:
    try:
        with torch.inference_mode():
            rows = module(torch.zeros(2, 3, EDGE_PX, EDGE_PX))
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(
            f"{who} can't take pictures (2, 3, {EDGE_PX}, {EDGE_PX}): {reason}; it must map pictures to rows"
        ) from None
    assert isinstance(rows, Tensor)
    return rows
