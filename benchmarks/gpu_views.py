"""Views of the BoT recipe at 224 px by DALI on a GPU, beside DALI on the CPU and torchvision.

python -m benchmarks.gpu_views [--out DIR] [--device cuda] [--seconds S] [--batch B] [--processes P ...]

Bound: what Python does for a view on the host, so several processes share the device. Goal: 10,000 views/s
on an H200. Orders (photo and chain) are drawn before; decoding, drawing, tracing and the batch on the device
are timed. Right before fast: views without noise must be near those of the chains drawn on the CPU.
torchvision makes the nearest its transforms come to the recipe, on the CPU and without letters, signs,
pasted photos, mosaics and shuffling. Run by scripts/gpu_check.sh.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from asl_fast.edits import RECIPES, Fit
from asl_fast.edits.steps import AddNoise, ShufflePixels
from asl_fast.images import decode
from asl_fast.views import MemoryPhotos, ViewOrder, stream
from benchmarks.process import EngineProcess, PeerError

EXAMPLES = Path(__file__).parents[1] / "examples" / "references"
GOAL_VIEWS_PER_S = 10_000
EDGE_PX = 224
NUM_PHOTOS = 200
LARGEST_APART = 3.0  # grey levels, median of the views' means: nvJPEG's own rounding comes on top
PATIENCE_S = 240.0

Row = dict[str, Any]


def photos() -> list[bytes]:
    """JPEGs of 500 x 375 px, each of four example photos."""
    rng = np.random.default_rng(0)
    examples = [Image.fromarray(np.asarray(decode(path.read_bytes()))) for path in sorted(EXAMPLES.iterdir())]
    packed = []
    for _ in range(NUM_PHOTOS):
        canvas = Image.new("RGB", (500, 375))
        for place, number in enumerate(rng.integers(len(examples), size=4).tolist()):
            corner = (250 * (place % 2), 188 * (place // 2))
            canvas.paste(examples[number].resize((250, 188), Image.Resampling.BICUBIC), corner)
        file = io.BytesIO()
        canvas.save(file, "JPEG", quality=int(rng.integers(75, 96)))
        packed.append(file.getvalue())
    return packed


def orders(num: int, seed: int) -> list[ViewOrder]:
    rng = np.random.default_rng(seed)
    fit = Fit(edge_px=EDGE_PX)
    return [ViewOrder(int(rng.integers(NUM_PHOTOS)), RECIPES["bot"].sample(rng, fit=fit)) for _ in range(num)]


def check(device: str, encoded: list[bytes]) -> float:
    """Median view's mean difference to the chain drawn on the CPU; ValueError if it is too large."""
    from asl_fast.views.dali import DaliExecutor

    chosen = [
        order
        for order in orders(60, seed=7)
        if not any(isinstance(s, AddNoise | ShufflePixels) for s in order.chain.steps((500, 375)))
    ]
    executor = DaliExecutor(MemoryPhotos(encoded), device=device)
    made_BHWC = executor.make(chosen).pixels_BHWC
    assert isinstance(made_BHWC, torch.Tensor)
    ours_BHWC = made_BHWC.cpu().numpy().astype(int)
    executor.close()
    pool = [np.asarray(decode(data)) for data in encoded]
    apart = [
        abs(ours - order.chain.apply(pool[order.photo], pool)).mean()
        for ours, order in zip(ours_BHWC, chosen, strict=True)
    ]
    median = float(np.median(apart))
    if not median <= LARGEST_APART:
        raise ValueError(f"gpu_views: views by DALI are {median:.1f} grey levels off, above {LARGEST_APART}")
    return median


def serve_dali(
    connection: Connection, device: str, num_threads: int, encoded: list[bytes], batch: int, seed: int
) -> None:
    """Answers a number of seconds with the views a second made in them."""
    from asl_fast.views.dali import DaliExecutor

    def get_ready() -> Callable[[float], float]:
        executor = DaliExecutor(MemoryPhotos(encoded), device=device, num_threads=num_threads)
        batches = [orders(batch, seed + number) for number in range(4)]
        for some in batches:
            executor.make(some)

        def views_per_s(seconds: float) -> float:
            start, made = time.perf_counter(), 0
            endless = (batches[number % 4] for number in range(1 << 30))
            views = stream(executor, endless, ahead=2)
            while time.perf_counter() < start + seconds:
                made += len(next(views).trace_B)
            taken = time.perf_counter() - start
            views.close()
            return made / taken

        return views_per_s

    _serve(connection, get_ready)


def serve_torchvision(connection: Connection, encoded: list[bytes], seed: int) -> None:
    """Answers a number of seconds with the views a second made in them, one at a time."""

    def get_ready() -> Callable[[float], float]:
        from torchvision.io import ImageReadMode, decode_jpeg
        from torchvision.transforms import v2

        torch.set_num_threads(1)
        torch.manual_seed(seed)
        chain = v2.Compose(
            [
                v2.RandomResizedCrop(EDGE_PX, scale=(0.2, 1.0), antialias=True),
                v2.RandomApply([v2.RandomRotation(45)], 0.3),
                v2.RandomPerspective(0.3, p=0.3),
                v2.RandomApply([v2.Pad(20)], 0.3),
                v2.RandomApply([v2.ColorJitter(0.5, 0.5, 0.5, 0.1)], 0.8),
                v2.GaussianBlur(9, (0.3, 2.0)),
                v2.RandomGrayscale(0.3),
                v2.RandomHorizontalFlip(),
                v2.Resize((EDGE_PX, EDGE_PX), antialias=True),
            ]
        )
        files = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in encoded]

        def views_per_s(seconds: float) -> float:
            start, made = time.perf_counter(), 0
            while time.perf_counter() < start + seconds:
                chain(decode_jpeg(files[made % len(files)], ImageReadMode.RGB))
                made += 1
            return made / (time.perf_counter() - start)

        return views_per_s

    _serve(connection, get_ready)


def _serve(connection: Connection, get_ready: Callable[[], Callable[[float], float]]) -> None:
    try:
        views_per_s = get_ready()
        connection.send((True, None))
        while True:
            connection.send((True, views_per_s(connection.recv())))
    except EOFError:
        return
    except Exception as error:
        connection.send((False, f"{type(error).__name__}: {str(error).splitlines()[0]}"))


def rate(target: Callable[..., None], arguments: Sequence[tuple[Any, ...]], seconds: float) -> float:
    """Views a second of one process for each tuple of arguments, all at work at once."""
    processes = []
    try:
        processes = [EngineProcess(target, some, patience_s=PATIENCE_S) for some in arguments]
        with ThreadPoolExecutor(len(processes)) as askers:
            return float(sum(askers.map(lambda process: process.ask(seconds), processes)))
    finally:
        for process in processes:
            process.close()


def rows(device: str, seconds: float, batch: int, num_processes: Sequence[int]) -> list[Callable[[], Row]]:
    encoded, cores = photos(), len(os.sched_getaffinity(0))

    def dali(where: str, number: int, size: int) -> Row:
        threads = max(1, cores // number)
        given = [(where, threads, encoded, size, 1000 * one) for one in range(number)]
        made = {"views_per_s": round(rate(serve_dali, given, seconds))}
        return {"by": "DALI", "on": where, "processes": number, "threads": threads, "batch": size, **made}

    def torchvision() -> Row:
        given = [(encoded, one) for one in range(cores)]
        made = {"views_per_s": round(rate(serve_torchvision, given, seconds))}
        return {"by": "torchvision v2, less work", "on": "cpu", "processes": cores, **made}

    works: list[Callable[[], Row]] = [lambda: {"check": "grey levels", "median": check(device, encoded)}]
    works += [lambda number=number: dali(device, number, batch) for number in num_processes]
    if device != "cpu":
        works.append(lambda: dali("cpu", 1, 64))
    return [*works, torchvision]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/results"), help="OUT/DEVICE/gpu_views.json"
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu: to try this script")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each row")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--processes", type=int, nargs="*", default=(1, 4, 12), help="that share the device")
    given = parser.parse_args()
    try:
        import asl_fast.views.dali  # noqa: F401
    except ImportError as error:
        print(f"gpu_views: not measured: {error}")
        return 0
    name = torch.cuda.get_device_name() if given.device == "cuda" else "cpu"
    out = given.out / re.sub(r"\W+", "-", name.lower()) / "gpu_views.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    head = {"device": name, "torch": torch.__version__, "date": time.strftime("%Y-%m-%d")}
    done: list[Row] = []
    for work in rows(given.device, given.seconds, given.batch, given.processes):
        try:
            done.append(work())
        except PeerError as error:
            done.append({"failed": str(error)})
        print(json.dumps(done[-1]), flush=True)
        out.write_text(json.dumps({**head, "rows": done}, indent=1) + "\n", encoding="utf-8")
    ours = [row for row in done if row.get("by") == "DALI" and row["on"] == given.device]
    best = max((row["views_per_s"] for row in ours), default=0)
    met = "met" if best >= GOAL_VIEWS_PER_S else "missed"
    print(f"gpu_views: {best:,} views/s on {name}; the goal of {GOAL_VIEWS_PER_S:,} on an H200 is {met}")
    return 1 if any("failed" in row for row in done) else 0


if __name__ == "__main__":
    sys.exit(main())
