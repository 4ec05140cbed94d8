"""Write benchmarks/README.md from what the benchmarks measured; every `make bench...` ends so.

    python -m benchmarks.table

The numbers are those of benchmarks/results/; nothing in the tables is typed by hand.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from asl_fast.files import replacing
from benchmarks.loss import tables as loss_tables
from benchmarks.search import tables as search_tables
from benchmarks.views import tables as views_tables

RESULTS = Path(__file__).parent / "results"
HEAD = """# Measured

Written by `make bench`, `bench-search`, `bench-loss` and `bench-views` (benchmarks/table.py) from
`benchmarks/results/`.
Every row of a table was measured in one run, on the same rows and threads; its docstring says what
bounds it and what is counted.
"""


def section(report: dict[str, Any]) -> str:
    """The table of `make bench`: rates, and how many times the last peer's."""
    cpu = report["machine_info"]["cpu"]
    lines = [
        "\n## ratio_search (`make bench`)\n",
        f"{cpu.get('brand_raw', 'unknown CPU')}, {cpu.get('count', '?')} cores, Python "
        f"{report['machine_info']['python_version']}, {report['versions']}; {report['datetime'][:10]}. "
        "200,000 x 256 references, 1,000 queries, k = 10; medians of five.\n",
        "| case | engine | M pairs/s | share of the float32 peak | times FAISS |",
        "|---|---|---:|---:|---:|",
    ]
    cases: dict[str, dict[str, Any]] = {}
    for bench in report["benchmarks"]:
        name = bench["name"].partition("[")[2].rstrip("]")
        engine = next(word for word in ("torch_in_blocks", "ours", "faiss_then_filter") if word in name)
        case = name.replace(engine, "").strip("-")
        cases.setdefault(case, {})[engine] = bench["extra_info"]
    for case, engines in cases.items():
        peer = engines["faiss_then_filter"]["pairs_per_s"]
        for engine, info in engines.items():
            rate = info["pairs_per_s"]
            share = info["share_of_float32_peak"]
            lines.append(f"| {case} | {engine} | {rate / 1e6:.0f} | {share:.2f} | {rate / peer:.2f} |")
    return "\n".join(lines) + "\n"


def without_names(report: dict[str, Any]) -> dict[str, Any]:
    """pytest-benchmark's report less what nobody needs: the machine's name, the commit, every round."""
    report.setdefault("versions", f"torch {version('torch')}, faiss {version('faiss-gpu')}")
    report["machine_info"].pop("node", None)
    report.pop("commit_info", None)
    for bench in report["benchmarks"]:
        bench["stats"].pop("data", None)
    return report


def main() -> None:
    sections = []
    if (path := RESULTS / "cpu/search.json").exists():
        sections.append(search_tables.section(json.loads(path.read_text())))
    if (path := RESULTS / "cpu/ratio_search.json").exists():
        report = without_names(json.loads(path.read_text()))
        path.write_text(json.dumps(report, indent=1, default=str) + "\n")
        sections.append(section(report))
    losses = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*/loss.json"))]
    if losses:
        sections.append(loss_tables.section(losses))
    views = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*/views.json"))]
    if views:
        sections.append(views_tables.section(views))
    with replacing(Path(__file__).parent / "README.md") as temporary:
        temporary.write_text(HEAD + "".join(sections))


if __name__ == "__main__":
    main()
