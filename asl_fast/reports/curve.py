"""The precision-recall curve as a picture."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from asl_fast.files import replacing
from asl_fast.reports.evaluation import Measures, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GREY, BLUE, ORANGE = "#1f2328", "#8b949e", "#0b62d6", "#d9480f"


def draw_curve(report: Report) -> Figure:
    """Both curves with their operating points at P90. A figure of its own: no pyplot, no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 5.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.axhline(0.9, color=GREY, linewidth=0.8, linestyle=(0, (4, 4)))
    axes.text(1.005, 0.9, "P90", color=GREY, fontsize=8, va="center", transform=axes.get_yaxis_transform())
    _draw(axes, report.similarity, "similarity alone", BLUE if report.filtered is None else GREY)
    if report.filtered is not None:
        _draw(axes, report.filtered, "with the ASL filter", ORANGE)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.set_title(f"{report.n:,} queries with a match, {report.num_truth:,} matches", color=INK, fontsize=10)
    axes.grid(color="#d0d7de", linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="lower left", frameon=False, fontsize=9)
    return figure


def write_curve(path: str | os.PathLike[str], report: Report) -> None:
    """Write the picture as PNG."""
    with replacing(path) as temporary:
        draw_curve(report).savefig(temporary, format="png")


def _draw(axes: Axes, measures: Measures, name: str, colour: str) -> None:
    curve, rp90 = measures.curve, measures.rp90
    label = f"{name}: uAP {measures.uap:.3f}, " + (
        f"RP90 {rp90.recall:.3f} at score ≥ {rp90.threshold:.3f}" if rp90 else "does not reach P90"
    )
    first = curve.precision_T[:1]  # before the first threshold nothing is found: the curve starts at recall 0
    axes.plot(
        np.append(np.zeros(len(first)), curve.recall_T), np.append(first, curve.precision_T),
        color=colour, linewidth=1.8, label=label, clip_on=False,
    )  # fmt: skip
    if rp90 is None:
        return
    axes.plot(
        rp90.recall, rp90.precision, "o", color=colour, markersize=7, markeredgecolor="white", clip_on=False
    )
