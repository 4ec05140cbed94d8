"""Checkpoints that appear whole: tensors in a safetensors file, then the JSON that names it."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from asl_fast.errors import InputError
from asl_fast.files import replacing

_INDEX = "checkpoint.json"


def save_checkpoint(folder: Path, state: dict[str, Tensor], step: int) -> None:
    """Replace the checkpoint in `folder`. Killed at any moment, it leaves the old one or the new one.

    There is no generator state to keep: batches and drop-out depend on (seed, step) alone.
    """
    tensors = f"step-{step:08d}.safetensors"
    with replacing(folder / tensors) as temporary:
        save_file({name: value.detach().cpu().contiguous() for name, value in state.items()}, temporary)
    with replacing(folder / _INDEX) as temporary:
        temporary.write_text(json.dumps({"step": step, "tensors": tensors}) + "\n", encoding="utf-8")
    for old in folder.glob("step-*.safetensors"):
        if old.name != tensors:
            old.unlink()


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], int] | None:
    """(state on the CPU, step), or None if there is none yet."""
    index = folder / _INDEX
    if not index.exists():
        return None
    try:
        told = json.loads(index.read_text(encoding="utf-8"))
        return load_file(folder / told["tensors"]), int(told["step"])
    except (ValueError, KeyError, FileNotFoundError, SafetensorError) as error:
        raise InputError(
            f"--out: the checkpoint in {folder} can't be read ({error}); remove that folder to start anew"
        ) from error
