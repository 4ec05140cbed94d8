"""Measure exact search beside its peers, print each goal with what came out, and write the tables.

python -m benchmarks.search [--photos DIR ...] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from asl_fast import _C
from asl_fast.files import replacing
from benchmarks.machine import cpu_brand, versions
from benchmarks.search.cases import Case, star
from benchmarks.search.data import Data
from benchmarks.search.descriptors import RealRows
from benchmarks.search.goals import Results, goals
from benchmarks.search.run import Row, run

ROOT = Path(__file__).parents[2]
EXAMPLES = [ROOT / "examples" / "references", ROOT / "examples" / "queries"]
PACKAGES = ("numpy", "faiss-gpu", "usearch", "numkong")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", nargs="*", type=Path, help="folders of photos; the examples if not given")
    parser.add_argument(
        "--data", type=Path, default=ROOT / "build" / "bench-search", help="where rows are kept"
    )
    parser.add_argument("--threads", type=int, default=min(2, len(os.sched_getaffinity(0))))
    parser.add_argument("--quick", action="store_true", help="100,000 rows, three minutes, and no tables")
    parser.add_argument("--out", type=Path, help="results; benchmarks/results/cpu/search.json if not quick")
    given = parser.parse_args()
    out = given.out or (
        given.data / "quick.json" if given.quick else ROOT / "benchmarks/results/cpu/search.json"
    )
    photos = RealRows(given.photos or EXAMPLES, given.data)
    instructions = tuple(name for name in _C.build_info()["cpu_paths"] if name != "plain")
    centre = Case(num_threads=given.threads, num_refs=100_000 if given.quick else 1_000_000)
    sizes = (10_000, 30_000) if given.quick else (10_000, 100_000, 300_000)
    cases = star(
        centre, instructions=instructions, photo_dims=photos.num_dims, sizes=sizes, long=not given.quick
    )
    head = {**machine(), "photos": photos.told + ("" if given.photos else " (the example photos)")}
    print(f"{head['cpu']}, {given.threads} threads; {head['versions']}\nphotos: {head['photos']}", flush=True)

    def save(rows: list[Row]) -> None:
        with replacing(out) as temporary:
            temporary.write_text(json.dumps({**head, "rows": rows}, indent=1) + "\n")

    rows = run(cases, Data(given.data, cases, photos), save, lambda text: print(text, flush=True))
    print()
    for goal in goals(Results(rows)):
        print(goal.line())


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cpu": cpu_brand(),
        "cores": os.cpu_count(),
        "instructions": _C.build_info()["cpu_paths"],
        "compiler": _C.build_info()["compiler"],
        "versions": versions(PACKAGES),
        "date": time.strftime("%Y-%m-%d"),
    }


if __name__ == "__main__":
    main()
