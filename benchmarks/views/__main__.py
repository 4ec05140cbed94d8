"""Measure views beside the peers: decoding, edits, whole chains, tracing, memory; and print each goal.

python -m benchmarks.views [--photos DIR ...] [--quick] [--only PART ...]
python -m benchmarks.views --device cuda      DALI on a GPU beside the CPU; OUT/DEVICE/views.json
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
from benchmarks.machine import cpu_brand, versions
from benchmarks.views.goals import goals
from benchmarks.views.photos import photo_files, write_photos
from benchmarks.views.run import GPU_PARTS, PARTS, QUICK, Amount, Row, run

ROOT = Path(__file__).parents[2]
PACKAGES = (
    *("torch", "torchvision", "opencv-python-headless", "pillow"),
    *("albumentations", "kornia", "augly", "nvidia-dali-cuda130"),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--photos", nargs="*", type=Path, help="folders of JPEGs; made of the examples if none"
    )
    parser.add_argument("--data", type=Path, default=ROOT / "build" / "bench-views", help="for made photos")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: the part for a GPU")
    parser.add_argument("--quick", action="store_true", help="a few of everything, and no tables")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS, help="some parts, and no tables")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "results", help="OUT/DEVICE/views.json"
    )
    given = parser.parse_args()
    on_gpu = given.device == "cuda"
    if on_gpu and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch finds no GPU here; run it where there is one")
    amount = QUICK if given.quick else Amount()
    paths = _photos(given.photos, given.data, amount)
    if len(paths) < amount.least_files:
        parser.error(f"--photos: {len(paths)} JPEGs were found, {amount.least_files} are needed")
    device = re.sub(r"\W+", "-", torch.cuda.get_device_name().lower()) if on_gpu else "cpu"
    whole = not given.quick and tuple(given.only) == PARTS
    out = given.out / device / "views.json" if whole else given.data / "part.json"
    mean_kb = sum(path.stat().st_size for path in paths) / len(paths) / 1e3
    made = "the user's own" if given.photos else "500 x 375 px, qualities 75 to 95, four example photos each"
    head = {
        "machine": (f"{torch.cuda.get_device_name()}, " if on_gpu else "") + cpu_brand(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": versions(PACKAGES),
        "photos": f"{len(paths)} photos ({made}), {mean_kb:.0f} kB on average.",
        "date": time.strftime("%Y-%m-%d"),
    }
    print(f"{head['machine']}; {head['versions']}\n{head['photos']}", flush=True)

    def save(rows: list[Row]) -> None:
        with replacing(out) as temporary:
            temporary.write_text(json.dumps({**head, "rows": rows}, indent=1) + "\n")

    cores = tuple(range(1, 1 + min(2, len(os.sched_getaffinity(0)))))
    parts = GPU_PARTS if on_gpu else tuple(given.only)
    rows = run(paths, amount, cores, parts, save, lambda text: print(text, flush=True))
    print()
    for goal in goals(rows):
        print(goal.line())


def _photos(folders: list[Path] | None, data: Path, amount: Amount) -> list[Path]:
    if folders:
        return photo_files(folders, amount.resized)
    return write_photos(data / "photos", amount.resized)


if __name__ == "__main__":
    main()
