"""The results of a run as Markdown."""

from __future__ import annotations

from typing import Any

from benchmarks.loss.engines import ENGINES
from benchmarks.loss.goals import goals

WHAT = {"eager": "plain PyTorch", "compiled": "plain PyTorch, `torch.compile`"}
COLUMNS = ("N", "C", "D", "engine", "formula", "ms", "extra MB", "error of loss, dX, dW")


def section(reports: list[dict[str, Any]]) -> str:
    """Goals over all devices, then every row."""
    lines = [
        "\n## The training loss (`make bench-loss`)\n",
        "| goal | measured | wanted | |",
        "|---|---:|---:|---|",
    ]
    lines += [_line(goal.cells()) for goal in goals([row for report in reports for row in report["rows"]])]
    lines.append(
        "\nForward and backward. Extra memory: the most held during a run beyond the inputs and the two "
        "gradients that any engine leaves. Errors: against float64, as a share of the largest entry. "
        "Formulas: CosFace with the norm ratio (full), without it (cosface), normalised softmax without a "
        "margin (softmax). Medians; engines take turns, each in its own process."
    )
    for report in reports:
        lines.append(f"\n{report['machine']}; {report['versions']}; {report['date']}.\n")
        lines += [
            _line(COLUMNS),
            _line("---:" if name in ("N", "C", "D", "ms", "extra MB") else "---" for name in COLUMNS),
        ]
        lines += [_row(row) for row in report["rows"]]
    return "\n".join(lines) + "\n"


def _row(row: dict[str, Any]) -> str:
    case, engine = row["case"], row["engine"]
    cells = [f"{case[name]:,}" for name in ("num_rows", "num_classes", "num_dims")]
    cells += [WHAT.get(engine, engine), ENGINES[engine].formula]
    if "problem" in row:
        return _line([*cells, "-", "-", row["problem"]])
    errors = ", ".join(f"{error:.1e}" for error in row["errors"].values())
    return _line([*cells, f"{1e3 * row['median_s']:.1f}", f"{row['extra_bytes'] / 1e6:.0f}", errors])


def _line(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"
