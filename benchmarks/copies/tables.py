"""The results of `make bench-copies` as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

WHOLE = (
    ("uAP", "uap"),
    ("RP90", "rp90"),
    ("precision at N, no refill", "precision_at_n_no_refill"),
    ("refill", "precision_at_n_refill"),
    ("recall at 1", "recall_at_1"),
)


def section(report: dict[str, Any]) -> str:
    """How every engine does on the whole, then on each family."""
    made, rows = report["benchmark"], report["rows"]
    counts = made["counts"]
    kinds = [kind for kind in ("reversed", "look-alike", "easy") if counts[kind]]
    queries = ", ".join(f"{counts[kind]:,} {kind}" for kind in kinds)
    lines = [
        "\n## Copy detection, side by side (`make bench-copies`)\n",
        f"{counts['references']:,} references; {counts['copy']:,} copies (N), {queries}; made by `asl-fast "
        f"benchmark make --edits {made['options']['edits']} --seed {made['seed']}`. Our descriptor: "
        f"{report['model']}. {report['versions']}; {report['date']}.\n",
        "Rejected: the share of queries of this kind of which nothing is among the N best pairs that the "
        "engine says, N being the number of copies. uAP and the rest as `asl-fast evaluate` has them; ties "
        f"count against a hash. The {report['k']} nearest references of each query.\n",
        _line(["engine", *(title for title, _ in WHOLE), *(f"{kind} rejected" for kind in kinds)]),
        _line(["---", *["---:"] * (len(WHOLE) + len(kinds))]),
    ]
    for row in rows:
        called = {group["kind"]: group["called_copy"] for group in row["groups"] if group["family"] is None}
        figures = [row[key] for _, key in WHOLE] + [1 - called[kind] for kind in kinds]
        lines.append(_line([_name(row), *map(_figure, figures)]))
    lines += [
        "\nRecall at 1 of each family of edits:\n",
        _line(["family", *map(_name, rows)]),
        _line(["---", *["---:"] * len(rows)]),
    ]
    families = [group["family"] for group in rows[0]["groups"] if group["kind"] == "copy" and group["family"]]
    for family in families:
        lines.append(_line([family, *(_figure(_of_family(row, family)) for row in rows)]))
    return "\n".join(lines) + "\n"


def _of_family(row: dict[str, Any], family: str) -> float | None:
    return next(
        group["recall_at_1"]
        for group in row["groups"]
        if (group["kind"], group["family"]) == ("copy", family)
    )


def _name(row: dict[str, Any]) -> str:
    return f"{row['engine']}, {row['how']}" if row["engine"].startswith("ours") else row["engine"]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
