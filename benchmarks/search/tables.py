"""The results of a run as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.search.goals import Results, Row, goals

WHAT = {
    "ours": "ours",
    "screen": "ours, screen alone",
    "mapped": "ours, floats memory-mapped",
    "flat": "FAISS flat, then filter",
    "flat:avx2": "FAISS flat at AVX2, then filter",
    "buckets": "FAISS, a range per bucket of queries",
    "batch": "FAISS, IDSelectorBatch per query",
    "bitmap": "FAISS, IDSelectorBitmap per query",
    "range": "FAISS, IDSelectorRange per query",
    "numpy": "NumPy in blocks",
    "numkong": "NumKong in blocks, float64 sums",
    "usearch": "usearch exact, then filter",
}
COLUMNS = {
    "rows": "---:",
    "D": "---:",
    "queries": "---:",
    "share": "---:",
    "threads": "---:",
    "engine": "---",
    "ms": "---:",
    "M pairs/s": "---:",
    "times FAISS flat": "---:",
    "times FAISS in buckets": "---:",
    "% of int8 peak": "---:",
    "survivors a query": "---:",
    "peak MB": "---:",
    "answer": "---",
}


def section(report: dict[str, Any]) -> str:
    """Goals, growth and every row of `make bench-search`."""
    results = Results(report["rows"])
    lines = [
        "\n## Exact search, side by side (`make bench-search`)\n",
        f"{report['cpu']} ({report['cores']} cores; {', '.join(report['instructions'])}), "
        f"{report['compiler']}, {report['versions']}; {report['date']}. "
        f"Real descriptors: {report['photos']}, extended as `benchmarks/search/descriptors.py` says.\n",
        "| goal | measured | wanted | |",
        "|---|---:|---:|---|",
        *(_line(goal.cells()) for goal in goals(results)),
        *_growth(results),
        "\nA pair is a query and a reference, whether or not it passes: skipped work is speed. The share of "
        "the int8 peak counts multiply-adds done, against a peak measured beside each row. FAISS unfiltered, "
        "and in buckets, answers short of k where the share is below 1, which flatters its time. Medians; "
        "engines take turns.\n",
        _line(COLUMNS),
        _line(COLUMNS.values()),
        *(_row(results, row) for row in report["rows"]),
    ]
    return "\n".join(lines) + "\n"


def _growth(results: Results) -> list[str]:
    slopes = [(WHAT[name], results.slope(name)) for name in ("ours", "flat", "buckets")]
    known = [f"{name} {slope:.2f}" for name, slope in slopes if slope is not None]
    return (
        [f"\nGrowth with the number of references (slope of log time over log N): {'; '.join(known)}."]
        if known
        else []
    )


def _row(results: Results, row: Row) -> str:
    case, name = row["case"], row["engine"]
    kind, _, option = name.partition(":")
    what = WHAT.get(name, f"{WHAT.get(kind, kind)}, {option} forced")
    data = "" if case["data"] == "isotropic" else ", real"
    cells = [
        f"{case['num_refs']:,}{data}",
        case["num_dims"],
        f"{case['num_queries']:,}",
        case["share"],
        case["num_threads"],
        what,
    ]
    if "problem" in row:
        return _line([*cells, *[""] * (len(COLUMNS) - len(cells) - 1), row["problem"]])
    cells += [f"{1e3 * row['median_s']:.3g}", f"{row['pairs_per_s'] / 1e6:.0f}"]
    for peer in ("flat", "buckets"):
        times = results.times(name, peer, **case)
        cells.append("" if times is None else f"{times:.2f}")
    cells.append(f"{100 * row['share_of_peak']:.0f}" if "share_of_peak" in row else "")
    cells.append(f"{row['survivors']:.0f}" if "survivors" in row else "")
    cells += [f"{row['peak_bytes'] / 1e6:.0f}", row.get("answer", "")]
    return _line(cells)


def _line(cells: Iterable[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
