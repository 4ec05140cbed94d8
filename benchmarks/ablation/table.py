"""The ablation as Markdown: a line for each variant, means over seeds."""

from __future__ import annotations

from typing import Any

import numpy as np

_COLUMNS = (
    ("uAP", ("uap",)),
    ("RP90", ("rp90",)),
    ("precision at N", ("precision_at_n",)),
    ("uAP, tau 1", ("at_1", "uap")),
    ("TP / FP in the top N, tau 1", ("at_1", "no_refill")),
    ("refill", ("at_1", "refill")),
    ("uAP, tau chosen", ("best_tau", "uap")),
    ("refill, tau chosen", ("best_tau", "refill")),
    ("tau", ("best_tau", "tau")),
    ("crops the right way", ("right_direction", "crops")),
    ("copies the right way", ("right_direction", "copies")),
    ("reversed rejected, tau 1", ("rejected", "reversed")),
    ("look-alikes rejected", ("rejected", "look-alike")),
)


def section(report: dict[str, Any]) -> str:
    rows, counts = report["rows"], report["benchmark"]["counts"]
    lines = [
        "\n## What each part of the objective brings (`python -m benchmarks.ablation`)\n",
        f"Start, photos and steps are the same for all ({report['steps']} steps, far fewer than the shipped "
        f"model's), one part is changed at a time; {counts['references']:,} references, {counts['copy']:,} "
        "copies (N) and other queries, of photos never trained on. "
        f"{report['versions']}; {report['date']}.\n",
        "`tau chosen`: on one half of the queries, measured on the other, both ways. TP / FP: pairs of the "
        "top N by cosine that the filter keeps, and the precision among them (the paper's). "
        "Several seeds: mean ± spread.\n",
        "| variant | " + " | ".join(title for title, _ in _COLUMNS) + " |",
        "|---|" + "---:|" * len(_COLUMNS),
    ]
    for name in dict.fromkeys(row["variant"] for row in rows):
        same = [row for row in rows if row["variant"] == name]
        lines.append(f"| {name} | " + " | ".join(_cell(same, keys) for _, keys in _COLUMNS) + " |")
    return "\n".join(lines) + "\n"


def _cell(rows: list[dict[str, Any]], keys: tuple[str, ...]) -> str:
    values = [value for row in rows if (value := _at(row, keys)) is not None]
    if not values:
        return "-"
    text = f"{np.mean(values):.3f}"
    if len(values) > 1:
        text += f" ± {np.std(values, ddof=1):.3f}"
    if keys == ("at_1", "no_refill"):
        counts = [[row["at_1"][key] for row in rows] for key in ("true_positives", "false_positives")]
        text = f"{np.mean(counts[0]):.0f} / {np.mean(counts[1]):.0f}: {text}"
    return text


def _at(row: dict[str, Any], keys: tuple[str, ...]) -> Any:
    value: Any = row
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
