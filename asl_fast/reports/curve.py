"""The precision-recall curve as a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from asl_fast.reports.evaluation import Measures, Report
from asl_fast.reports.style import BLUE, DOTTED, GREY, ORANGE, dress, new_figure, write_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_curve(report: Report) -> Figure:
    """Both curves with their operating points: P90, and the threshold where that is another."""
    figure = _figure(f"{report.n:,} queries with a match, {report.num_truth:,} matches")
    axes = figure.axes[0]
    _draw(axes, report.similarity, "similarity alone", BLUE if report.filtered is None else GREY)
    if report.filtered is not None:
        _draw(axes, report.filtered, "with the ASL filter", ORANGE)
    last = report.filtered or report.similarity
    said = last.at_threshold
    if said.precision is not None and report.threshold_from != "P90":
        axes.plot(
            said.recall, said.precision, "D", color="white", markersize=6, clip_on=False,
            markeredgecolor=BLUE if report.filtered is None else ORANGE,
            label=f"score ≥ {report.threshold:.3f}: recall {said.recall:.3f}, precision {said.precision:.3f}",
        )  # fmt: skip
    figure.legend(loc="outside lower center", frameon=False, fontsize=9)
    return figure


def draw_both_curves(reports: Sequence[Report], names: Sequence[str]) -> Figure:
    """Two lists in one picture, each with its filter if it has one."""
    figure = _figure(f"{reports[0].n:,} queries with a match, {reports[0].num_truth:,} matches")
    for report, name, colour in zip(reports, names, (BLUE, ORANGE), strict=True):
        _draw(figure.axes[0], report.filtered or report.similarity, name, colour)
    figure.legend(loc="outside lower center", frameon=False, fontsize=9)
    return figure


def write_curve(path: str | os.PathLike[str], report: Report) -> None:
    """Write the picture as PNG."""
    write_png(path, draw_curve(report))


def _figure(title: str) -> Figure:
    figure = new_figure()
    axes = figure.add_subplot()
    axes.axhline(0.9, color=GREY, linewidth=0.8, linestyle=DOTTED)
    axes.text(1.005, 0.9, "P90", color=GREY, fontsize=8, va="center", transform=axes.get_yaxis_transform())
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    dress(axes, title)
    return figure


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
