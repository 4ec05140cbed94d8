"""Measure copy detection on a benchmark that `asl-fast benchmark make` made, beside perceptual hashes.

python -m benchmarks.copies --benchmark DIR [--model MODEL | --matches matches.csv] [--save]

Prints the tables; with --save keeps the figures (results/cpu/copies.json) for benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from asl_fast import reports, search
from asl_fast.errors import DONE
from asl_fast.files import write_json
from asl_fast.images import find_images
from asl_fast.models import load_descriptor
from benchmarks.copies import tables
from benchmarks.copies.hashes import HASHES, hashed
from benchmarks.copies.measuring import Row, rows
from benchmarks.copies.nearest import predictions
from benchmarks.machine import versions

ROOT = Path(__file__).parents[2]
PATHS = ("images", "groups", "pairs")
PACKAGES = ("numpy", "pillow", "pdqhash", "imagehash")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--benchmark", required=True, type=Path, help="folder that `benchmark make` made")
    ours = parser.add_mutually_exclusive_group()
    ours.add_argument("--model", default="default", help="our descriptor (default: %(default)s)")
    ours.add_argument("--matches", type=Path, help="what our search found already, with -k as given here")
    parser.add_argument(
        "-k", type=int, default=10, help="nearest references of a query (default: %(default)s)"
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / "build" / "bench-copies", help="where our matches are kept"
    )
    parser.add_argument("--save", action="store_true", help="keep the figures for benchmarks/README.md")
    given = parser.parse_args()
    made = json.loads((given.benchmark / "benchmark.json").read_text())
    truth = reports.read_truth(given.benchmark / "truth.csv")
    kinds = reports.read_kinds(given.benchmark / "queries.csv", truth)
    matches = {"ours": given.matches}
    if given.matches is None:
        folder, model = given.benchmark, given.model
        matches = {"ours": searched(folder, model, given.k, given.work)}
        if load_descriptor(model).thresholds is not None:
            ranked = searched(folder, model, given.k, given.work / "ranked", soft_ratio="model")
            matches["ours, soft ratio"] = ranked
    found: list[Row] = []
    for name, file in matches.items():
        found += rows(name, reports.read_predictions(file), truth, kinds)
    found += of_hashes(given.benchmark, given.k, truth, kinds)
    report = {
        "benchmark": without_paths(made),
        "model": Path(given.model).name if given.matches is None else "that of the given matches",
        "k": given.k,
        "versions": versions(PACKAGES),
        "date": time.strftime("%Y-%m-%d"),
        "rows": found,
    }
    print(tables.section(report))
    if given.save:
        write_json(ROOT / "benchmarks/results/cpu/copies.json", report)


def without_paths(made: dict[str, Any]) -> dict[str, Any]:
    """What benchmark.json says of the pictures, but not where the photos lay."""
    told = {name: value for name, value in made["options"].items() if name not in PATHS}
    return made | {"options": told}


def searched(benchmark: Path, model: str, k: int, work: Path, soft_ratio: str = "none") -> Path:
    """Our matches of the benchmark's pictures."""
    work.mkdir(parents=True, exist_ok=True)
    matches = work / "matches.csv"
    status = search.main(
        [
            *("--refs", str(benchmark / "references"), "--queries", str(benchmark / "queries")),
            *("--model", model, "-k", str(k), "--soft-ratio", soft_ratio, "--out", str(matches)),
        ]
    )
    if status != DONE:
        raise SystemExit(status)
    return matches


def of_hashes(benchmark: Path, k: int, truth: reports.Truth, kinds: reports.QueryKinds) -> list[Row]:
    queries, references = (find_images(benchmark / name) for name in ("queries", "references"))
    found: list[Row] = []
    bits: dict[Any, Any] = {}
    for way in HASHES:
        if way.bits not in bits:
            bits[way.bits] = hashed(way, queries)[:, 0], hashed(way, references)
        query_QB, reference_RWB = bits[way.bits]
        ids = [file.id for file in queries], [file.id for file in references]
        said = predictions(way.name, *ids, query_QB, reference_RWB[:, : way.ways], k)
        found += rows(way.name, said, truth, kinds)
    return found


if __name__ == "__main__":
    main()
