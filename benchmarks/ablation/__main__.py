"""Train every variant of the objective alike and measure it on a benchmark of photos that none has seen.

python -m benchmarks.ablation --images train.txt --pairs pairs.csv --benchmark DIR --out build/ablation

--benchmark: a folder of `asl-fast benchmark make`, of other photos than --images. A run that was stopped goes
on; what is measured is not trained again. --seeds trains the metric-only and the full variants that often.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import torch

from asl_fast import reports
from asl_fast.files import write_json
from asl_fast.images import find_images
from asl_fast.training import read_pairs, train
from benchmarks.ablation.measuring import measure
from benchmarks.ablation.table import section
from benchmarks.ablation.variants import START, Variant, variants
from benchmarks.copies.__main__ import searched, without_paths
from benchmarks.machine import versions

ROOT = Path(__file__).parents[2]
REPEATED = ("metric only", "full, pairs as negatives", "full, pairs as positives")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True, help="photos to train on")
    parser.add_argument("--pairs", required=True, help="hard-negative pairs among them")
    parser.add_argument("--benchmark", required=True, type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "ablation")
    parser.add_argument("--steps", type=int, default=400, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=3, help="of the variants that matter most")
    parser.add_argument("--only", nargs="+", help="these variants")
    parser.add_argument("--save", action="store_true", help="keep the figures for benchmarks/README.md")
    given = parser.parse_args()
    chosen = [v for v in variants(given.steps) if given.only is None or v.name in given.only]
    rows = []
    for seed in range(given.seeds):
        for variant in chosen:
            if seed == 0 or variant.name in REPEATED:
                rows.append(_row(variant, seed, given))
                print(section(_report(given, rows)), flush=True)
    if given.save:
        write_json(ROOT / "benchmarks/results/cpu/ablation.json", _report(given, rows))


def _report(given: argparse.Namespace, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "benchmark": without_paths(json.loads((given.benchmark / "benchmark.json").read_text())),
        "steps": given.steps,
        "versions": versions(("torch", "timm")),
        "date": time.strftime("%Y-%m-%d"),
        "rows": rows,
    }


def _row(variant: Variant, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    out = given.out / f"{variant.name.replace(' ', '-').replace(',', '')}-{given.steps}-{seed}"
    kept = out / "measured.json"
    if kept.exists():
        measured: dict[str, Any] = json.loads(kept.read_text())
        return measured
    started = time.perf_counter()
    model = "imagenet" if variant.settings is None else _trained(variant, seed, out, given)
    truth = reports.read_truth(given.benchmark / "truth.csv")
    kinds = reports.read_kinds(given.benchmark / "queries.csv", truth)
    out.mkdir(parents=True, exist_ok=True)
    row = {"variant": variant.name, "seed": seed, "minutes": (time.perf_counter() - started) / 60}
    row |= measure(searched(given.benchmark, model, 10, out), truth, kinds)
    write_json(kept, row)
    return row


def _trained(variant: Variant, seed: int, out: Path, given: argparse.Namespace) -> str:
    assert variant.settings is not None and variant.name != START
    train(
        find_images(given.images, ids="path"),
        out,
        dataclasses.replace(variant.settings),
        seed=seed,
        folder=Path(given.images),
        pairs=read_pairs(given.pairs) if variant.with_pairs else (),
        num_threads=torch.get_num_threads(),
        num_workers=1,
    )
    return str(out / "model")


if __name__ == "__main__":
    main()
