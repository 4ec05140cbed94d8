"""The GPU paths, checked and timed: the loss at three sizes, the search at one. Run by scripts/gpu_check.sh.

python benchmarks/gpu_check.py [--out DIR] [--device cuda] [--sizes N,C,D ...] [--sweep]

Bounds: the loss 8 x N x C x D operations at the tensor cores' peak (four products), the search its pairs x D
multiply-adds. Right before fast: the loss's gradients against the path in PyTorch with float32 sums, the
search against the CPU's exact answer. One JSON file a device; --sweep also times other tiles of the kernels.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asl_fast.kernels.cosface_ratio import chunked, cosface_norm_ratio_loss, paths
from asl_fast.kernels.ratio_search import PreparedRefs

LOSS_SIZES = ((512, 100_000, 2048), (512, 1_100_000, 2048), (1024, 10_000_000, 512))
LARGEST_ERROR = 2.0**-6  # of a gradient's largest entry: a bfloat16 rounded twice, and R rounded once
SEARCH_SIZE = (10_000, 1_000_000, 256)

Row = dict[str, Any]


class Loss:
    """One batch in bfloat16, with every row labelled and pairs of neighbours."""

    def __init__(self, size: tuple[int, int, int], device: str) -> None:
        num_rows, num_classes, num_dims = size
        make = torch.Generator(device).manual_seed(0)
        options: dict[str, Any] = {"device": device, "generator": make}
        self.weight_CD = torch.empty(num_classes, num_dims, device=device, dtype=torch.bfloat16)
        self.weight_CD.normal_(generator=make).requires_grad_()
        self.label_N = torch.randint(num_classes, (num_rows,), **options)
        noise_ND = torch.randn(num_rows, num_dims, **options)
        near_ND = 3 * noise_ND + self.weight_CD.detach()[self.label_N]
        self.feature_ND = near_ND.to(torch.bfloat16).requires_grad_()
        first_P = torch.arange(num_rows - 1, device=device)
        self.pair_index_P2 = torch.stack([first_P, first_P + 1], 1)

    def forward(self) -> Tensor:
        total: Tensor = cosface_norm_ratio_loss(
            self.feature_ND, self.weight_CD, self.label_N, self.pair_index_P2
        ).total
        return total

    def gradients(self) -> tuple[Tensor, Tensor]:
        feature_ND, weight_CD = torch.autograd.grad(self.forward(), (self.feature_ND, self.weight_CD))
        return feature_ND, weight_CD


def check_loss(loss: Loss) -> float:
    """The worse error of both gradients beside the path in PyTorch; ValueError above LARGEST_ERROR."""
    ours = loss.gradients()
    chosen, paths.path_for = paths.path_for, lambda *_: chunked  # type: ignore[assignment, return-value]
    try:
        exact = loss.gradients()
    finally:
        paths.path_for = chosen
    worst = 0.0
    for value, wanted in zip(ours, exact, strict=True):
        largest = wanted.abs().max().float()
        for start in range(0, len(value), 100_000):  # a float copy of ten million rows would not fit
            part = slice(start, start + 100_000)
            worst = max(worst, ((value[part].float() - wanted[part].float()).abs().max() / largest).item())
    if not worst <= LARGEST_ERROR:
        raise ValueError(f"gpu_check: error {worst} of the loss is above {LARGEST_ERROR}")
    return worst


def median_ms(run: Callable[[], object], device: str, repeats: int) -> float:
    """Median wall time, the device idle before and after each."""
    times = []
    for _ in range(repeats + 2):
        _wait(device)
        start = time.perf_counter()
        run()
        _wait(device)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[2:])


def time_loss(size: tuple[int, int, int], device: str, repeats: int) -> Row:
    loss = Loss(size, device)
    row: Row = {"operation": "cosface_ratio", "size_NCD": size, "type": "bfloat16", "error": check_loss(loss)}
    row["forward_ms"] = median_ms(loss.forward, device, repeats)
    row["forward_backward_ms"] = median_ms(loss.gradients, device, repeats)
    operations = 8 * size[0] * size[1] * size[2]
    row["tera_operations_per_s"] = operations / row["forward_backward_ms"] / 1e9
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        gradients = loss.gradients()
        results = sum(value.nbytes for value in gradients)
        row["extra_memory_mb"] = (torch.cuda.max_memory_allocated() - before - results) / 1e6
    return row


def time_search(size: tuple[int, int, int], device: str, repeats: int) -> Row:
    num_queries, num_refs, num_dims = size
    rng = np.random.default_rng(0)
    ref_ND = rng.standard_normal((num_refs, num_dims), dtype=np.float32)
    query_QD = rng.standard_normal((num_queries, num_dims), dtype=np.float32)
    norm_N, norm_Q = rng.uniform(1, 2, num_refs), rng.uniform(1, 2, num_queries)
    refs = PreparedRefs(ref_ND, norm_N=norm_N, device=device)
    some, exact = (
        prepared.search(query_QD[:64], norm_Q=norm_Q[:64])
        for prepared in (refs, PreparedRefs(ref_ND, norm_N=norm_N))
    )
    if not (some.ref_row_QK == exact.ref_row_QK).all() or not (some.score_QK == exact.score_QK).all():
        raise ValueError("gpu_check: the search differs from the CPU's exact answer")
    search_ms = median_ms(lambda: refs.search(query_QD, norm_Q=norm_Q), device, repeats)
    return {
        "operation": "ratio_search",
        "size_QND": size,
        "path": refs.path,
        "search_ms": search_ms,
        "giga_pairs_per_s": num_queries * num_refs / search_ms / 1e6,
    }


def sweep(size: tuple[int, int, int], device: str, repeats: int) -> list[Row]:
    """Times with other tiles for bfloat16, one of the two changed at a time."""
    from asl_fast.kernels.cosface_ratio import gpu

    loss, rows = Loss(size, device), []
    for table in (gpu.LOGIT_TILE, gpu.GRADIENT_TILE):
        kept = table[torch.bfloat16]
        for m, n, k, warps, stages in (
            (128, 128, 64, 8, 3),
            (128, 128, 64, 8, 4),
            (128, 128, 64, 4, 3),
            (128, 256, 64, 8, 3),
            (256, 128, 64, 8, 3),
            (128, 64, 64, 4, 3),
        ):
            table[torch.bfloat16] = dataclasses.replace(
                kept, m=m, n=n, k=k, num_warps=warps, num_stages=stages
            )
            row: Row = {
                "operation": "cosface_ratio tiles",
                "of": "logits" if table is gpu.LOGIT_TILE else "gradients",
            }
            row |= {"mnk_warps_stages": (m, n, k, warps, stages)}
            row["forward_ms"] = median_ms(loss.forward, device, repeats)
            row["forward_backward_ms"] = median_ms(loss.gradients, device, repeats)
            rows.append(row)
            print(json.dumps(row), flush=True)
        table[torch.bfloat16] = kept
    return rows


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _sizes(text: str) -> tuple[int, int, int]:
    rows, classes, dims = (int(part) for part in text.split(","))
    return rows, classes, dims


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/results"), help="OUT/DEVICE/gpu_check.json"
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu: to try this script")
    parser.add_argument("--sizes", nargs="*", type=_sizes, default=LOSS_SIZES, help="of the loss")
    parser.add_argument("--search", type=_sizes, default=SEARCH_SIZE, help="queries, references, dimensions")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sweep", action="store_true", help="time the loss with other tiles, too")
    given = parser.parse_args()
    name = torch.cuda.get_device_name() if given.device == "cuda" else "cpu"
    out = given.out / re.sub(r"\W+", "-", name.lower()) / "gpu_check.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    works = [lambda: time_search(given.search, given.device, given.repeats)]
    works += [lambda size=size: time_loss(size, given.device, given.repeats) for size in given.sizes]
    for work in works:
        rows.append(work())
        print(json.dumps(rows[-1]), flush=True)
        _save(out, name, rows)
    if given.sweep:
        rows += sweep(given.sizes[0], given.device, given.repeats)
        _save(out, name, rows)
    return 0


def _save(out: Path, name: str, rows: list[Row]) -> None:
    """After every row, for the next one may not fit the machine."""
    head = {"device": name, "torch": torch.__version__, "date": time.strftime("%Y-%m-%d")}
    out.write_text(json.dumps({**head, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
