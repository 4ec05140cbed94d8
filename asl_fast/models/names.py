"""A name or a path -> a descriptor ready to run.

default               the trained model that comes with asl_fast
imagenet              the untrained one that comes with it too: what `train` starts from
runs/one              a folder with config.json and model.safetensors
timm:NAME             ImageNet (or other) weights from timm's hub, with GeM and an untrained neck
hf-hub:OWNER/NAME     a folder as above on the Hugging Face hub; also plain OWNER/NAME
sscd.torchscript.pt   a published SSCD file
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import huggingface_hub
import timm
import torch
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from asl_fast import thresholds
from asl_fast.errors import InputError
from asl_fast.model_folders import CONFIG, SHIPPED, WEIGHTS
from asl_fast.models.config import DescriptorConfig
from asl_fast.models.descriptor import Descriptor, check_backbone
from asl_fast.models.sscd import load_torchscript
from asl_fast.models.storage import (
    Loaded,
    fill,
    fingerprint,
    load_folder,
    weights_digest,
)

BACKGROUND = (
    "background.npz"  # rows by this model of pictures of which nothing is a copy, for score normalisation
)
_TORCHSCRIPT = (".pt", ".pth", ".ts")
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_WAYS = (
    "a model is 'default', 'imagenet', a folder, timm:NAME, hf-hub:OWNER/NAME or an SSCD TorchScript .pt file"
)


def load_descriptor(name_or_path: str | os.PathLike[str] = "default", device: str = "cpu") -> Loaded:
    """The network, its config and its fingerprint. InputError, one line, if there is none of this name."""
    check_device(device)
    name = os.fspath(name_or_path)
    try:
        loaded = _find(name)
    except (ValueError, OSError) as error:
        complaint = " ".join(str(error).split())
        who = f"--model {name}"
        raise InputError(complaint if complaint.startswith(who) else f"{who}: {complaint}") from error
    loaded.module.to(device).eval()
    return loaded


def find_background(name_or_path: str | os.PathLike[str]) -> Path | None:
    """The background set in a model's folder; None if there is none, or no folder."""
    name = os.fspath(name_or_path)
    if name.startswith("hf-hub:") or (not Path(name).exists() and _may_be_of_the_hub(name)):
        try:
            folder = Path(_snapshot(name.removeprefix("hf-hub:"), [BACKGROUND], f"--model {name}"))
        except ValueError as error:
            raise InputError(str(error)) from error
    else:
        folder = SHIPPED.get(name, Path(name))
    path = folder / BACKGROUND
    return path if path.is_file() else None


def check_device(device: str) -> None:
    """InputError if `device` is not one that this torch can use here."""
    kind = device.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise InputError(f"--device {device}: must be cpu or cuda")
    if kind == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda
        why = "torch finds no GPU" if built else "this torch is built without CUDA"
        raise InputError(f"--device {device}: {why} (torch {torch.__version__}); use --device cpu")


def _find(name: str) -> Loaded:
    who = f"--model {name}"
    path = Path(name)
    if name in SHIPPED:
        return load_folder(SHIPPED[name], who)
    if name.startswith("timm:"):
        return _from_timm(name.removeprefix("timm:"), who)
    if name.startswith("hf-hub:"):
        return _from_hub(name.removeprefix("hf-hub:"), who)
    if path.is_dir():
        return load_folder(path, who)
    if path.is_file():
        if path.suffix not in _TORCHSCRIPT:
            raise ValueError(f"{who} is a file without the ending .pt; {_WAYS}")
        return load_torchscript(path, who)
    if _may_be_of_the_hub(name):
        return _from_hub(name, who)
    hint = ""
    if timm.is_model(name):
        hint = f"; for timm's weights say timm:{name}"
    raise ValueError(f"{who}: there is no such file or folder{hint}; {_WAYS}")


def _may_be_of_the_hub(name: str) -> bool:
    """Whether OWNER/NAME could be meant, where there is no such folder."""
    return bool(_HUB_ID.fullmatch(name)) and Path(name).suffix not in _TORCHSCRIPT


def _from_hub(hub_id: str, who: str) -> Loaded:
    folder = _snapshot(hub_id, [CONFIG, WEIGHTS, thresholds.FILE], who)
    return load_folder(folder, who)


def _from_timm(name: str, who: str) -> Loaded:
    """A pretrained timm backbone under GeM (p = 3) and a neck that changes nothing."""
    check_backbone(name)
    source = timm.get_pretrained_cfg(name)
    if source is None or not source.has_weights:
        raise ValueError(f"{who}: timm has no weights of it; its tags: {timm.list_pretrained(name)}")
    config = DescriptorConfig(
        backbone=name,
        edge_px=int(source.input_size[-1]),
        mean=_three(source.mean),
        std=_three(source.std),
        note=f"timm's weights of {name} with GeM; not trained for copy detection",
    )
    module = Descriptor(config)
    overlay: dict[str, Any] = {}
    if source.hf_hub_id:
        hub_id = source.hf_hub_id if not source.hf_hub_id.endswith("/") else source.hf_hub_id + _full(source)
        weights = Path(_snapshot(hub_id, [WEIGHTS], who)) / WEIGHTS
        overlay = {"file": str(weights)} if weights.is_file() else {}
    try:
        trained = timm.create_model(
            name, pretrained=True, num_classes=0, global_pool="", pretrained_cfg_overlay=overlay
        )
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{who}: the weights can't be had: {error}") from error
    fill(module.backbone, {key: value.float() for key, value in _floats(trained)}, who)
    weights_of = {key: value for key, value in module.state_dict().items() if value.is_floating_point()}
    return Loaded(module.eval(), config, fingerprint(config, weights_digest(weights_of)))


def _three(numbers: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = numbers
    return red, green, blue


def _full(source: Any) -> str:
    return f"{source.architecture}.{source.tag}" if source.tag else str(source.architecture)


def _floats(model: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [(key, value) for key, value in model.state_dict().items() if value.is_floating_point()]


def _snapshot(hub_id: str, patterns: list[str], who: str) -> str:
    """Folder with a hub repository's files, downloaded or cached. ValueError on one line if neither."""
    try:
        return str(huggingface_hub.snapshot_download(hub_id, allow_patterns=patterns))
    except HFValidationError:
        raise ValueError(f"{who}: {hub_id!r} is no hub name; write OWNER/NAME") from None
    except LocalEntryNotFoundError:
        raise ValueError(
            f"{who}: the Hugging Face hub can't be reached and {hub_id} is not in its local cache; "
            "check the network, or give a folder"
        ) from None
    except HfHubHTTPError as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{who}: the Hugging Face hub refuses {hub_id} ({reason}); check the name") from None
