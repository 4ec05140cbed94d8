"""Where a search runs: "cpu", "cuda" (the first GPU), or some GPUs, such as "cuda:1" and "cuda:0,1"."""

from __future__ import annotations

import re

from asl_fast import _C
from asl_fast.kernels.ratio_search.rows import WHO


def gpus_of(device: str) -> list[int]:
    """CUDA's numbers of the GPUs; none for "cpu". ValueError if it names no device."""
    if device == "cpu":
        return []
    match = re.fullmatch(r"cuda(?::(\d+(?:,\d+)*))?", device)
    if match is None:
        raise ValueError(
            f"{WHO}: device must be one of cpu, cuda, got {device!r}; several GPUs are named as in cuda:0,1"
        )
    gpus = [int(number) for number in (match[1] or "0").split(",")]
    if len(set(gpus)) < len(gpus):
        raise ValueError(f"{WHO}: device must name each GPU once, got {device!r}")
    return gpus


def usable_gpus(device: str) -> list[int]:
    """The same, checked against this build and machine. ValueError has the way out."""
    gpus = gpus_of(device)
    if not gpus:
        return gpus
    info = _C.build_info()
    if not info["with_cuda"]:
        raise ValueError(
            f"{WHO}: device 'cuda' was asked of a build without CUDA; use device 'cpu', or install again "
            "with nvcc on PATH and ASL_FAST_CUDA=ON"
        )
    if not info["cuda_devices"]:
        raise ValueError(
            f"{WHO}: device 'cuda' was asked for but no GPU can be used ({info['cuda_problem']}); "
            "use device 'cpu', or install an NVIDIA driver for this GPU"
        )
    if max(gpus) >= len(info["cuda_devices"]):
        raise ValueError(
            f"{WHO}: device {device!r} names GPU {max(gpus)}, but there are {len(info['cuda_devices'])}, "
            "numbered from 0"
        )
    return gpus
