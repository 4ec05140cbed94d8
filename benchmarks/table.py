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
from benchmarks.ablation import table as ablation_table
from benchmarks.copies import tables as copies_tables
from benchmarks.loss import tables as loss_tables
from benchmarks.search import tables as search_tables
from benchmarks.views import tables as views_tables

RESULTS = Path(__file__).parent / "results"
HEAD = """# Measured

Written by `make bench`, `bench-copies`, `bench-search`, `bench-loss`, `bench-views` and `python -m
benchmarks.ablation` (benchmarks/table.py)
from `benchmarks/results/`.
Every row of a table was measured in one run, on the same rows and threads; its docstring says what
bounds it and what is counted.
"""


def section(report: dict[str, Any]) -> str:
    """The table of `make bench`: rates, and how many times FAISS's."""
    cpu = report["machine_info"]["cpu"]
    lines = [
        "\n## ratio_search (`make bench`)\n",
        f"{cpu.get('brand_raw', 'unknown CPU')}, {cpu.get('count', '?')} cores, Python "
        f"{report['machine_info']['python_version']}, {report['versions']}; {report['datetime'][:10]}. "
        "200,000 x 256 references, 1,000 queries, k = 10; medians of five.\n",
        "| case | engine | M pairs/s | times FAISS | answer |",
        "|---|---|---:|---:|---|",
    ]
    cases: dict[str, dict[str, Any]] = {}
    for bench in report["benchmarks"]:
        info = bench["extra_info"]
        words = bench["name"].partition("[")[2].rstrip("]").split("-")
        case = ", ".join(sorted((word for word in words if "=" in word), reverse=True))
        cases.setdefault(case, {})[info["engine"]] = info
    for case, engines in cases.items():
        peer = engines["flat"]["pairs_per_s"]
        for engine, info in engines.items():
            rate, what = info["pairs_per_s"], search_tables.WHAT[engine]
            lines.append(f"| {case} | {what} | {rate / 1e6:.0f} | {rate / peer:.2f} | {info['answer']} |")
    return "\n".join(lines) + "\n"


def without_names(report: dict[str, Any]) -> dict[str, Any]:
    """pytest-benchmark's report less what nobody needs: the machine's name, the commit, every round."""
    report.setdefault("versions", f"numpy {version('numpy')}, faiss {version('faiss-gpu')}")
    report["machine_info"].pop("node", None)
    report.pop("commit_info", None)
    for bench in report["benchmarks"]:
        bench["stats"].pop("data", None)
    return report


def main() -> None:
    sections = []
    if (path := RESULTS / "cpu/copies.json").exists():
        sections.append(copies_tables.section(json.loads(path.read_text())))
    if (path := RESULTS / "cpu/ablation.json").exists():
        sections.append(ablation_table.section(json.loads(path.read_text())))
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
