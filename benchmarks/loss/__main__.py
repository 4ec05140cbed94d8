"""Measure the training loss beside its peers, on the CPU and on a GPU if there is one, and print each goal.

python -m benchmarks.loss [--threads T] [--device cpu|cuda ...] [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from pathlib import Path

import torch

from asl_fast.files import replacing
from benchmarks.loss.cases import cases
from benchmarks.loss.goals import goals
from benchmarks.loss.run import Row, run
from benchmarks.machine import cpu_brand, versions

ROOT = Path(__file__).parents[2]
PACKAGES = ("torch", "pytorch-metric-learning", "cut-cross-entropy", "liger-kernel")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    parser.add_argument("--device", nargs="*", choices=("cpu", "cuda"), default=here)
    parser.add_argument("--threads", type=int, default=min(2, len(os.sched_getaffinity(0))))
    parser.add_argument("--data", type=Path, default=ROOT / "build" / "bench-loss", help="float64 answers")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "results", help="DIR/DEVICE/loss.json"
    )
    given = parser.parse_args()
    every: list[Row] = []
    for device in given.device:
        head = {
            "machine": _machine(device, given.threads),
            "versions": versions(PACKAGES),
            "date": time.strftime("%Y-%m-%d"),
        }
        folder = "cpu" if device == "cpu" else re.sub(r"\W+", "-", torch.cuda.get_device_name().lower())
        print(f"{head['machine']}; {head['versions']}", flush=True)

        def save(rows: list[Row], out: Path = given.out / folder / "loss.json", head: Row = head) -> None:
            with replacing(out) as temporary:
                temporary.write_text(json.dumps({**head, "rows": rows}, indent=1) + "\n")

        every += run(cases(device, given.threads), given.data, save, lambda text: print(text, flush=True))
    print()
    for goal in goals(every):
        print(goal.line())


def _machine(device: str, num_threads: int) -> str:
    if device == "cuda":
        return str(torch.cuda.get_device_name())
    return f"{cpu_brand()}, {num_threads} threads"


if __name__ == "__main__":
    main()
