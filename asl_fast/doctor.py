"""Print versions, CPU instruction sets, GPU, and which search and loss path will run.

example:
  asl-fast doctor
"""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version

from asl_fast.errors import DONE, run_command

LIBRARIES = ("torch", "torchvision", "timm", "triton", "numpy", "pillow", "faiss-gpu", "nvidia-dali-cuda130")


def parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog="asl-fast doctor", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 - every command's run takes its arguments
    for title, facts in sections().items():
        print(title)
        for name, value in facts.items():
            print(f"  {name:<22}{value}")
    return DONE


def sections() -> dict[str, dict[str, str]]:
    import torch

    from asl_fast import _C

    build = _C.build_info()
    num_gpus = torch.cuda.device_count()
    gpus = {f"gpu {place}": torch.cuda.get_device_name(place) for place in range(num_gpus)} or {
        "gpu": "none that PyTorch can use"
    }
    searches_on_gpu = bool(build["with_cuda"] and build["cuda_devices"])
    return {
        "versions": {
            "asl-fast": version("asl-fast"),
            "python": platform.python_version(),
            **{name: _version(name) for name in LIBRARIES},
        },
        "machine": {
            "system": platform.platform(),
            "cores to use": str(len(os.sched_getaffinity(0))),
            "cpu instruction sets": " ".join(build["cpu_features"]),
            **gpus,
        },
        "native module": {
            "compiler": build["compiler"],
            "compiled for": " ".join(build["instruction_sets"]),
            "cuda": build["cuda_version"]
            or "not compiled in (no toolkit when it was built, or ASL_FAST_CUDA=OFF)",
        },
        "what will run": {
            "search --device cpu": f"exact C++, {build['chosen']}",
            "search --device cuda": "exact CUDA" if searches_on_gpu else "an error: " + _why_no_cuda(build),
            "loss": "plain PyTorch on " + ("the GPU or the CPU" if num_gpus else "the CPU"),
            "decode": "Pillow, threaded",
        },
    }


def _why_no_cuda(build: dict[str, object]) -> str:
    return "no GPU is visible" if build["with_cuda"] else "this build has no CUDA"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def main(argv: list[str] | None = None) -> int:
    return run_command("doctor", run, parser().parse_args(argv))


if __name__ == "__main__":
    raise SystemExit(main())
