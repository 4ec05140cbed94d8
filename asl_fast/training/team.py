"""The processes of one run: who they are, and what they tell one another outside of the steps."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from asl_fast.errors import USER_ERROR, InputError

_PATIENCE = timedelta(hours=1)  # the first process measures while the others wait
_LAST_WORDS_SECONDS = 2.0
_Given = TypeVar("_Given")


@dataclass(frozen=True)
class Team:
    """This process is number `rank` of `world_size`. The first leads: it logs, measures, writes the models.

    group: None = this process alone.  local_rank, local_size: among those on this machine.
    store: where processes leave a word that outlives them.
    """

    rank: int = 0
    world_size: int = 1
    group: dist.ProcessGroup | None = None
    local_rank: int = 0
    local_size: int = 1
    store: dist.Store | None = None

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def block(self, num: int) -> range:
        """This process' share of `num` things, those next to each other."""
        return range(self.rank * num // self.world_size, (self.rank + 1) * num // self.world_size)

    def device(self, device: str) -> str:
        """cuda is one GPU for each process of a machine; InputError if there are fewer."""
        if device != "cuda" or self.group is None:
            return device
        if self.local_size > torch.cuda.device_count():
            raise InputError(
                f"--device cuda: {self.local_size} processes on a machine with {torch.cuda.device_count()} "
                "GPUs; start one for each GPU"
            )
        torch.cuda.set_device(self.local_rank)
        return f"cuda:{self.local_rank}"

    def num_threads(self) -> int:
        """All cores, or this process' share of those of its machine."""
        if self.group is None:
            return torch.get_num_threads()
        return max(1, len(os.sched_getaffinity(0)) // self.local_size)

    def tell(self, value: Any) -> list[Any]:
        """What each process gives, in their order, through JSON. All of them call this, or all wait."""
        text = json.dumps(value)
        if self.group is None:
            return [json.loads(text)]
        own = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
        length_W = torch.cat(self._gathered(torch.tensor([len(own)])))
        padded = torch.zeros(int(length_W.max()), dtype=torch.uint8)
        padded[: len(own)] = own
        told = zip(self._gathered(padded), length_W.tolist(), strict=True)
        return [json.loads(bytes(bytearray(text[:length].tolist()))) for text, length in told]

    def _gathered(self, value: Tensor) -> list[Tensor]:
        gathered = [torch.empty_like(value) for _ in range(self.world_size)]
        dist.all_gather(gathered, value, group=self.group)
        return gathered

    def as_one(self, run: Callable[[_Given, Team], int], given: _Given) -> int:
        """`run(given, team)`. Of what ends processes the first is let through, the others end without a word.

        They fail of the same, or of the first one being gone. torchrun ends all that are left as soon as one
        has ended, so they give the first the time to say why.
        """
        try:
            status = run(given, self)
        except BaseException:
            if self.store is None or self.store.add("failed", 1) == 1:
                raise
            time.sleep(_LAST_WORDS_SECONDS)
            raise SystemExit(USER_ERROR) from None
        if self.group is not None:
            dist.destroy_process_group()  # not after a failure: the others may be gone
        return status


def joined_team(device: str) -> Team:
    """The processes that torchrun started, joined; one process if it did not start this one.

    device: cpu (they talk through gloo) or cuda (NCCL, and gloo for what lies in the memory of the CPU).
    """
    if not dist.is_torchelastic_launched():
        return Team()
    store, rank, world_size = next(dist.rendezvous("env://"))
    local_rank, local_size = (int(os.environ[name]) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" and torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=_PATIENCE)
    left = dist.PrefixStore("team", store)
    return Team(rank, world_size, dist.group.WORLD, local_rank, local_size, left)
