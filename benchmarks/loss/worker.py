"""The loss engines' side of benchmarks/process.py."""

from __future__ import annotations

import ctypes
import gc
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.loss import oracle
from benchmarks.loss.cases import Case
from benchmarks.loss.data import Batch, batch
from benchmarks.loss.engines import ENGINES, Loss
from benchmarks.process import EngineProcess, status_bytes

PATIENCE_SECONDS = 900


class Worker(EngineProcess):
    """A process that answers `seconds`, `extra_bytes` and `errors` of an engine. PeerError if it can't."""

    def __init__(self, name: str, case: Case, folder: Path) -> None:
        super().__init__(_serve, (name, case, folder), patience_s=PATIENCE_SECONDS)


def _serve(connection: Connection, name: str, case: Case, folder: Path) -> None:
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: case.num_threads]))
    torch.set_num_threads(case.num_threads)
    try:
        given = batch(case, case.num_classes)
        loss = ENGINES[name].make(given)
        _run(loss, given)  # compiles, warms up
        ways: dict[str, Callable[[], Any]] = {
            "seconds": lambda: _seconds(loss, given),
            "extra_bytes": lambda: _extra_bytes(loss, given),
            "errors": lambda: _errors(name, case, folder),
        }
        connection.send((True, None))
        while True:
            connection.send((True, ways[connection.recv()]()))
    except EOFError:
        return
    except Exception as error:
        text = str(error).splitlines()[0] if str(error) else ""
        connection.send((False, f"{type(error).__name__}: {text}"))


def _run(loss: Loss, given: Batch) -> Tensor:
    """Forward and backward; the gradients are left in the leaves."""
    given.feature_ND.grad = given.weight_CD.grad = None
    value = loss()
    value.backward()
    if given.weight_CD.is_cuda:
        torch.cuda.synchronize()
    return value.detach()


def _seconds(loss: Loss, given: Batch) -> list[float]:
    """Of one run; on a GPU of five, whose memory is then given back to the other engines."""
    if given.weight_CD.is_cuda:
        _run(loss, given)
    taken = []
    for _ in range(5 if given.weight_CD.is_cuda else 1):
        given.feature_ND.grad = given.weight_CD.grad = None
        start = time.perf_counter()
        _run(loss, given)
        taken.append(time.perf_counter() - start)
    given.feature_ND.grad = given.weight_CD.grad = None
    if given.weight_CD.is_cuda:
        torch.cuda.empty_cache()
    return taken


def _extra_bytes(loss: Loss, given: Batch) -> int:
    """The most memory held during a run, beyond what was there before and the two gradients it leaves."""
    given.feature_ND.grad = given.weight_CD.grad = None
    gc.collect()
    gradients = sum(leaf.numel() * leaf.element_size() for leaf in given[:2])
    if given.weight_CD.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        _run(loss, given)
        return torch.cuda.max_memory_allocated() - before - gradients
    ctypes.CDLL(None).malloc_trim(0)  # else freed memory that the process still holds would hide a part
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    before = status_bytes("VmRSS")
    _run(loss, given)
    return status_bytes("VmHWM") - before - gradients


def _errors(name: str, case: Case, folder: Path) -> dict[str, float]:
    """Against float64, on the sizes that the oracle knows."""
    given = batch(case, oracle.checked_classes(case))
    value = _run(ENGINES[name].make(given), given)
    assert given.feature_ND.grad is not None and given.weight_CD.grad is not None
    return oracle.errors(
        case, ENGINES[name].formula, folder, [value, given.feature_ND.grad, given.weight_CD.grad]
    )
