"""The results of a run as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.views.goals import Row, goals

WHAT = {
    "torchvision": "torchvision v2",
    "torchvision_pil": "torchvision v2, PIL",
    "albumentations": "albumentations (OpenCV)",
    "kornia": "kornia",
    "augly": "AugLy",
    "dali": "DALI, CPU",
    "dali_gpu": "DALI, GPU",
    "ours": "ours",
    "ours_dali": "ours through DALI, CPU",
    "ours_dali_gpu": "ours through DALI, GPU",
}
_EDITORS = ("torchvision", "albumentations", "kornia", "augly")


_NOTES = """
From files to batches of 224 x 224, wall time: peers in PyTorch's DataLoader with a worker a core, DALI in its
own pipeline. Two views: chains drawn with BoT's chances, ours with those edits alone that the peer has, and
traced. Medians; engines take turns, each in its own process.

Edits of decoded pictures on one core, CPU time: microseconds a picture of ours, and how many times as long
each peer takes (below 1 it is faster than ours; - where it has no such edit). Ours lowers its chain each
time, peers have everything prepared; kornia edits all pictures in one batch, but chains one by one. AugLy's
rotation crops, and so does ours beside it. Chains: as above, from 500 x 375."""


def section(reports: list[dict[str, Any]]) -> str:
    """Goals over all machines, then every row of `make bench-views`, machine by machine."""
    lines = [
        "\n## Views, side by side (`make bench-views`)\n",
        "| goal | measured | wanted | |",
        "|---|---:|---:|---|",
        *(_line(goal.cells()) for goal in goals([row for report in reports for row in report["rows"]])),
        _NOTES,
    ]
    for report in reports:
        rows = report["rows"]
        machine = f"{report['machine']} ({report['cores']} cores), {report['versions']}; {report['date']}."
        lines += [
            f"\n{machine} {report['photos']}\n",
            *_table(["what", "cores", "peer", "peer's images/s", "ours", "times"], "-r-rrr", _loaded(rows)),
            *_table(["edit", "ours, us", *(WHAT[peer] for peer in _EDITORS)], "-rrrrr", _edited(rows)),
            *_table(["what", "engine", "images/s"], "--r", _absolute(rows)),
            *_ourselves(rows),
        ]
    return "\n".join(lines) + "\n"


def _loaded(rows: list[Row]) -> Iterable[list[str]]:
    for row in rows:
        if row["part"] not in ("resize", "views"):
            continue
        what = "decode + resize" if row["part"] == "resize" else "two views"
        cells = [what, str(row["cores"]), WHAT[row["peer"]]]
        if "problem" in row:
            yield [*cells, row["problem"], "", ""]
        else:
            yield [*cells, f"{1 / row['peer_s']:.0f}", f"{1 / row['ours_s']:.0f}", f"{row['times']:.2f}"]


def _edited(rows: list[Row]) -> Iterable[list[str]]:
    chosen = [row for row in rows if row["part"] in ("edits", "chains")]
    for case in dict.fromkeys(row["case"] for row in chosen):
        beside = {row["peer"]: row for row in chosen if row["case"] == case}
        measured = [row["ours_s"] for row in beside.values() if "ours_s" in row]
        cells = [
            f"{row['times']:.2f}" if (row := beside.get(peer)) and "times" in row else "-"
            for peer in _EDITORS
        ]
        yield [case, f"{1e6 * measured[0]:.0f}" if measured else "-", *cells]


def _absolute(rows: list[Row]) -> Iterable[list[str]]:
    for row in rows:
        if row["part"] == "gpu":
            figure = row["problem"] if "problem" in row else f"{row['per_s']:.0f}"
            yield [row["case"], WHAT[row["engine"]], figure]


def _ourselves(rows: list[Row]) -> list[str]:
    lines = []
    for row in rows:
        if row["part"] == "tracing":
            drawn, traced, content = (1e6 * row[f"{what}_s"] for what in ("draw", "trace", "content"))
            lines.append(
                f"\nTracing, a view: drawing {drawn:.0f} us, its trace {traced:.0f} us, the trace and its "
                f"content {content:.0f} us."
            )
    marks = [f"{row['bytes'] / 1e6:.0f} MB after {row['views']:,}" for row in rows if row["part"] == "memory"]
    return (
        [*lines, f"\nMemory of the process that makes views, and of its workers: {', '.join(marks)}."]
        if marks
        else lines
    )


def _table(columns: Iterable[str], sides: str, body: Iterable[list[str]]) -> list[str]:
    """No table where there are no rows."""
    lines = [_line(cells) for cells in body]
    rule = ["---:" if side == "r" else "---" for side in sides]
    return [_line(columns), _line(rule), *lines, ""] if lines else []


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
