"""run.png: the losses and the held-back score over the steps, drawn from metrics.jsonl."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asl_fast.files import replacing
from asl_fast.training.evaluation import FoldReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK, _BLUE, _ORANGE = "#1f2328", "#0b62d6", "#d9480f"
_LOSSES = (("loss/metric", "metric loss", _BLUE), ("loss/ratio", "ratio loss", _ORANGE))
_SCORES = (("uap", "uAP", _BLUE), ("uap_filtered", "uAP with the ratio filter", _ORANGE))


def write_run_plot(path: Path, metrics: Path, before: FoldReport) -> None:
    """Write the picture as PNG. metrics: a run's metrics.jsonl.  before: the start model's report."""
    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    with replacing(path) as temporary:
        draw_run(rows, before).savefig(temporary, format="png")


def draw_run(rows: list[dict[str, float]], before: FoldReport) -> Figure:
    """Losses as they were (pale) and smoothed; scores of the average from the start on. No global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 7.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    *losses, score = figure.subplots(3, sharex=True)
    done_S = np.array([row["step"] + 1 for row in rows])
    for axes, (name, label, colour) in zip(losses, _LOSSES, strict=True):
        value_S = np.array([row[name] for row in rows])
        axes.plot(done_S, value_S, color=colour, alpha=0.25, linewidth=0.8)
        axes.plot(done_S, smoothed(value_S), color=colour, linewidth=1.8)
        axes.set_ylabel(label)
    measured = [row for row in rows if "eval/uap" in row]
    done = [0.0] + [row["step"] + 1 for row in measured]
    for name, label, colour in _SCORES:
        values = [getattr(before, name)] + [row[f"eval/{name}"] for row in measured]
        score.plot(done, values, "o-", color=colour, linewidth=1.8, markersize=4, label=label)
    score.set(xlabel="steps", ylabel="on the photos held back")
    score.legend(loc="best", frameon=False, fontsize=9)
    losses[0].set_title("the average's score and the losses of its run", color=_INK, fontsize=10)
    for axes in (*losses, score):
        axes.grid(color="#d0d7de", linewidth=0.5)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return figure


def smoothed(value_S: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over a window of a twentieth of the steps round each, shorter at both ends."""
    half = max(1, len(value_S) // 40)
    sum_S = np.concatenate([[0.0], np.cumsum(value_S)])
    here_S = np.arange(len(value_S))
    first_S, end_S = np.maximum(here_S - half, 0), np.minimum(here_S + half + 1, len(value_S))
    return np.asarray((sum_S[end_S] - sum_S[first_S]) / (end_S - first_S))
