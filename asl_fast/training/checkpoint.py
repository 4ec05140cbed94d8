"""Checkpoints that appear whole: tensors in safetensors files, then the JSON that names them.

One process writes one file. Of several each writes the rows of its classes, and the first what all share; any
number of them reads those.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from asl_fast.errors import InputError
from asl_fast.files import replacing
from asl_fast.losses import Ranks
from asl_fast.losses.ranks import class_range

_INDEX = "checkpoint.json"


def has_checkpoint(folder: Path) -> bool:
    return (folder / _INDEX).exists()


def save_checkpoint(
    folder: Path,
    state: dict[str, Tensor],
    step: int,
    *,
    ranks: Ranks | None = None,
    class_prefixes: tuple[str, ...] = (),
) -> None:
    """Replace the checkpoint in `folder`. Killed at any moment, it leaves the old one or the new one.

    class_prefixes: tensors whose names begin so have one row for each class of this rank, or no dimension;
    the others are the same on all ranks. Every rank calls this. There is no generator state to keep: batches
    and drop-out depend on (seed, step) alone.
    """
    ranks = ranks or Ranks(0)
    told: dict[str, Any] = {"step": step, "tensors": f"step-{step:08d}.safetensors"}
    if ranks.group is not None:
        told["num_classes"] = ranks.num_classes
        told["classes"] = [
            f"step-{step:08d}-classes-{rank:05d}-of-{ranks.world_size:05d}.safetensors"
            for rank in range(ranks.world_size)
        ]
        own = {name: value for name, value in state.items() if name.startswith(class_prefixes)}
        _write(folder / told["classes"][ranks.rank], own)
        state = {name: value for name, value in state.items() if name not in own}
    if ranks.rank == 0:
        _write(folder / told["tensors"], state)
    # The index names files that are all there. (A barrier would have to guess the device.)
    ranks.gather(next(iter(state.values())).new_zeros(())).sum().item()
    if ranks.rank != 0:
        return
    names = [told["tensors"], *told.get("classes", [])]
    with replacing(folder / _INDEX) as temporary:
        temporary.write_text(json.dumps(told) + "\n", encoding="utf-8")
    for old in folder.glob("step-*.safetensors"):
        if old.name not in names:
            old.unlink()


def load_checkpoint(
    folder: Path, ranks: Ranks | None = None, class_prefixes: tuple[str, ...] = ()
) -> tuple[dict[str, Tensor], int]:
    """(state on the CPU, step). It may have been saved by another number of ranks.

    InputError if it can't be read.
    """
    ranks = ranks or Ranks(0)
    try:
        told = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        state = load_file(folder / told["tensors"])
        if "classes" in told:
            state |= _own_rows([folder / name for name in told["classes"]], told["num_classes"], ranks)
        elif ranks.group is not None:
            for name, value in state.items():
                if name.startswith(class_prefixes) and value.ndim:
                    state[name] = value[ranks.first : ranks.stop].clone()
        return state, int(told["step"])
    except (ValueError, KeyError, FileNotFoundError, SafetensorError) as error:
        raise InputError(
            f"--out: the checkpoint in {folder} can't be read ({error}); remove that folder to start anew"
        ) from error


def _own_rows(paths: list[Path], num_classes: int, ranks: Ranks) -> dict[str, Tensor]:
    """The rows of this rank's classes, out of the files of as many ranks as there were."""
    own = (ranks.first, ranks.stop) if ranks.num_classes else (0, num_classes)
    parts: dict[str, list[Tensor]] = {}
    for number, path in enumerate(paths):
        first, stop = class_range(num_classes, number, len(paths))
        here = slice(max(own[0], first) - first, max(0, min(own[1], stop) - first))
        with safe_open(path, framework="pt") as saved:
            for name in saved.keys():  # noqa: SIM118  (a safe_open is no dict)
                told = saved.get_slice(name)
                parts.setdefault(name, []).append(told[here] if told.get_shape() else saved.get_tensor(name))
    return {name: torch.cat(part) if part[0].ndim else part[0] for name, part in parts.items()}


def _write(path: Path, state: dict[str, Tensor]) -> None:
    with replacing(path) as temporary:
        save_file({name: value.detach().cpu().contiguous() for name, value in state.items()}, temporary)
