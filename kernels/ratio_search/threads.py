"""How many threads a call may use."""

from __future__ import annotations

import os

from asl_fast.kernels.ratio_search.rows import WHO


def checked_threads(num_threads: int | None) -> int:
    """The number of threads to use; None is every core this process may run on."""
    if num_threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not 1 <= num_threads <= 1024:
        raise ValueError(
            f"{WHO}: num_threads must be from 1 to 1024, or None for every core, got {num_threads}"
        )
    return int(num_threads)
