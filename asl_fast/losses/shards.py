"""Class weights on disk: each rank writes its classes, and any number of ranks reads what it needs."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from asl_fast.errors import InputError
from asl_fast.files import replacing
from asl_fast.losses.asl import AslLoss
from asl_fast.losses.ranks import class_range

_INDEX = "classes.json"


def save_class_shards(folder: Path, loss: AslLoss, step: int) -> None:
    """Replace the class weights, and the moments of their step, in `folder`; every rank calls this.

    Killed at any moment, it leaves the old ones or the new ones: rank 0 names the files when all are written.
    """
    ranks = loss.ranks
    name = _file_name(step, ranks.rank, ranks.world_size)
    with replacing(folder / name) as temporary:
        state = loss.state_dict()
        save_file({key: value.cpu().contiguous() for key, value in state.items()}, temporary)
    _wait(loss)
    if ranks.rank == 0:
        names = [_file_name(step, rank, ranks.world_size) for rank in range(ranks.world_size)]
        told = {"step": step, "num_classes": ranks.num_classes, "files": names}
        with replacing(folder / _INDEX) as temporary:
            temporary.write_text(json.dumps(told) + "\n", encoding="utf-8")
        for old in folder.glob("classes-*.safetensors"):
            if old.name not in names:
                old.unlink()
    _wait(loss)


@torch.no_grad()
def load_class_shards(folder: Path, loss: AslLoss) -> int:
    """Set the class weights, and the moments of their step, to those in `folder`; return the step.

    The number of ranks may differ from that of the run that saved them.  InputError if they can't be read or
    are of another size.
    """
    try:
        told = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        if told["num_classes"] != loss.ranks.num_classes:
            raise InputError(
                f"--out: {folder} holds {told['num_classes']} classes, this run has {loss.ranks.num_classes}"
            )
        for rank, name in enumerate(told["files"]):
            _read_overlap(folder / name, loss, rank, len(told["files"]))
        return int(told["step"])
    except (ValueError, KeyError, OSError, SafetensorError) as error:
        raise InputError(f"--out: the class weights in {folder} can't be read ({error})") from error


def _read_overlap(path: Path, loss: AslLoss, rank: int, world_size: int) -> None:
    ranks = loss.ranks
    saved_first, saved_stop = class_range(ranks.num_classes, rank, world_size)
    first, stop = max(ranks.first, saved_first), min(ranks.stop, saved_stop)
    with safe_open(path, framework="pt") as saved:
        for key, value in loss.state_dict().items():
            if value.ndim == 0:
                value.copy_(saved.get_tensor(key))
            elif first < stop:
                row_cD = saved.get_slice(key)[first - saved_first : stop - saved_first]
                value[first - ranks.first : stop - ranks.first].copy_(row_cD)


def _file_name(step: int, rank: int, world_size: int) -> str:
    return f"classes-{step:08d}-{rank:05d}-of-{world_size:05d}.safetensors"


def _wait(loss: AslLoss) -> None:
    if loss.ranks.group is not None:
        dist.barrier(group=loss.ranks.group)
