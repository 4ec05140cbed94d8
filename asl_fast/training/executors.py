"""Who makes the views of a run."""

from __future__ import annotations

from asl_fast.errors import InputError
from asl_fast.views import CpuExecutor, PhotoSource, ViewExecutor

INPUTS = ("cpu", "dali")


def check_input(kind: str) -> None:
    """ValueError for an unknown kind, InputError if what it needs is not installed."""
    if kind not in INPUTS:
        raise ValueError(f"train: views_from must be one of {', '.join(INPUTS)}, got {kind!r}")
    if kind == "dali":
        try:
            import asl_fast.views.dali  # noqa: F401
        except ImportError as error:
            raise InputError(f"--input dali: {error}") from error


def open_executor(kind: str, source: PhotoSource, *, device: str, num_workers: int) -> ViewExecutor:
    """cpu: worker processes, or none with 0 of them.  dali: on `device`, with as many CPU threads."""
    if kind == "cpu":
        return CpuExecutor(source, num_workers=num_workers)
    from asl_fast.views.dali import DaliExecutor  # imports DALI

    return DaliExecutor(source, device=device, num_threads=max(1, num_workers))
