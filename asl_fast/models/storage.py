"""A descriptor at rest: one folder with model.safetensors and config.json, no pickle."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from asl_fast.files import replacing
from asl_fast.model_folders import CONFIG, WEIGHTS
from asl_fast.models.config import DescriptorConfig, config_from_json
from asl_fast.models.descriptor import Descriptor
from asl_fast.thresholds import FILE, Thresholds, folder_thresholds

FINGERPRINT_DIGITS = 16


class Loaded(NamedTuple):
    """A network in eval mode, what it is, and the short name of exactly this network.

    thresholds: those beside its weights, None if it was never calibrated.
    """

    module: nn.Module
    config: DescriptorConfig
    fingerprint: str
    thresholds: Thresholds | None = None


def save_descriptor(
    folder: str | os.PathLike[str], module: Descriptor, config: DescriptorConfig, *, half: bool = False
) -> str:
    """Write model.safetensors and config.json; return the fingerprint of what stands there.

    half: store matrices and kernels as float16 where their values fit its range (half the size). They
    load as float32, so rows change by float16's rounding, once. Thresholds of other weights that stand
    there are removed.
    """
    state = {name: _stored(name, value, half) for name, value in _weights(module).items()}
    digest = weights_digest(state)
    place = Path(folder)
    old = folder_thresholds(place)
    with replacing(place / CONFIG) as config_path, replacing(place / WEIGHTS) as weights_path:
        save_file(state, weights_path)
        config_path.write_text(config.to_json(weights_sha256=digest), encoding="utf-8")
    name = fingerprint(config, digest)
    if old is not None and old.fingerprint != name:
        (place / FILE).unlink()
    return name


def load_folder(folder: str | os.PathLike[str], who: str) -> Loaded:
    """The descriptor that `save_descriptor` wrote. ValueError, beginning with `who`, if it can't be."""
    place = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (place / name).is_file():
            raise ValueError(
                f"{who} has no {name}; a model folder holds {CONFIG} and {WEIGHTS}, as train writes them"
            )
    try:
        text = (place / CONFIG).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{who}: {CONFIG} is not UTF-8 text; give a folder that asl_fast saved") from None
    config, digest = config_from_json(text, f"{who}: {CONFIG}")
    state = _read_weights(place / WEIGHTS, who)
    found = weights_digest(state)
    if digest and digest != found:
        raise ValueError(
            f"{who}: {WEIGHTS} is not the one that {CONFIG} was saved with (sha256 {found[:12]}, not "
            f"{digest[:12]}); save or copy the two files again"
        )
    try:
        module = Descriptor(config)
    except ValueError as error:
        raise ValueError(f"{who}: {error}") from error
    fill(module, state, who)
    return Loaded(module.eval(), config, fingerprint(config, found), folder_thresholds(place))


def fill(module: nn.Module, state: dict[str, Tensor], who: str) -> None:
    """Load weights by name; ValueError with the names that are missing, left over or of another shape."""
    own = _weights(module)
    faults = [f"lacks {name}" for name in own if name not in state]
    faults += [f"has {name}, which this backbone does not" for name in state if name not in own]
    faults += [
        f"{name} has shape {tuple(state[name].shape)}, not {tuple(value.shape)}"
        for name, value in own.items()
        if name in state and state[name].shape != value.shape
    ]
    if faults:
        raise ValueError(
            f"{who}: the weights do not fit config.json: {'; '.join(faults[:3])} ({len(faults)} faults); "
            "save the model again"
        )
    module.load_state_dict(state, strict=False)


def fingerprint(config: DescriptorConfig, digest: str) -> str:
    """Short hexadecimal name: the same on every machine, and for fp32 and fp16 files of equal values."""
    text = config.what_shapes_rows() + digest
    return hashlib.sha256(text.encode()).hexdigest()[:FINGERPRINT_DIGITS]


def weights_digest(state: dict[str, Tensor]) -> str:
    """sha256 over names, shapes and values as little-endian float32, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().float().cpu().contiguous().numpy()
        digest.update(f"{name} {list(values.shape)}\n".encode())
        digest.update(np.ascontiguousarray(values, dtype="<f4").tobytes())
    return digest.hexdigest()


def _weights(module: nn.Module) -> dict[str, Tensor]:
    """What shapes rows: parameters and running statistics, but not batch norm's counter of batches."""
    return {
        name: value for name, value in module.state_dict().items() if not name.endswith("num_batches_tracked")
    }


def _stored(name: str, value: Tensor, half: bool) -> Tensor:
    value = value.detach().cpu().float().contiguous()
    if not torch.isfinite(value).all():
        raise ValueError(f"model: weight {name} holds NaN or infinite values; it can't be saved")
    fits = half and value.ndim >= 2 and float(value.abs().max()) <= torch.finfo(torch.float16).max
    return value.half() if fits else value.clone()


def _read_weights(path: Path, who: str) -> dict[str, Tensor]:
    try:
        state = load_file(path)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{who}: {path.name} can't be read ({error}); copy or save it again") from None
    for name, value in state.items():
        if not value.is_floating_point():
            raise ValueError(f"{who}: weight {name} is {value.dtype}, it must be a floating type")
        if not torch.isfinite(value).all():
            raise ValueError(f"{who}: weight {name} holds NaN or infinite values; save the model again")
    return {name: value.float() for name, value in state.items()}
