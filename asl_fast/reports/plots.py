"""Scores of copies and others, ratios against scores, what is found of each family; as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asl_fast.reports.by_kind import Group
from asl_fast.reports.evaluation import Report
from asl_fast.reports.spread import Spread
from asl_fast.reports.style import DOTTED, GREY, INK, KIND_COLOURS, ORANGE, dress, new_figure
from asl_fast.reports.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

MAX_BARS = 60
RATIO_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 10, 20, 50, 100)


def draw_all(report: Report, spread: Spread) -> dict[str, Figure]:
    """Every plot that this evaluation has, by name: scores; ratios and families where there are such."""
    figures = {"scores": draw_scores(spread, report.threshold)}
    if any(cloud.ratio_M is not None for cloud in spread.clouds):
        figures["ratios"] = draw_ratios(spread, report.threshold)
    if report.groups:
        figures["families"] = draw_families(report)
    return figures


def draw_scores(spread: Spread, threshold: float) -> Figure:
    """One histogram a kind, under one another."""
    figure = new_figure(7.2, 1.0 + 1.1 * len(spread.clouds))
    all_axes = figure.subplots(len(spread.clouds), 1, squeeze=False, sharex=True)[:, 0]
    for axes, cloud, colour in zip(all_axes, spread.clouds, _colours(len(spread.clouds)), strict=True):
        axes.stairs(spread.counts(cloud), spread.edges, color=colour, fill=True, alpha=0.75)
        axes.axvline(threshold, color=INK, linewidth=0.8, linestyle=DOTTED)
        axes.set_ylim(0, None)
        axes.yaxis.set_major_locator(_whole_numbers())
        axes.tick_params(axis="y", labelsize=8)
        dress(axes, "", grid="x")
        axes.set_title(f"{printable(cloud.name)} ({len(cloud.score_M):,})", loc="left", color=INK, fontsize=9)
    figure.suptitle(
        "scores of right pairs, and of the best pair of queries without one", color=INK, fontsize=10
    )
    all_axes[-1].set_xlabel(f"score (dotted: the threshold, {threshold:.3f})")
    return figure


def draw_ratios(spread: Spread, threshold: float) -> Figure:
    """Every pair a point: score across, ratio up, tau as a line."""
    figure = new_figure()
    axes = figure.add_subplot()
    for cloud, colour in zip(spread.clouds, _colours(len(spread.clouds)), strict=True):
        if cloud.ratio_M is None:
            continue
        axes.plot(
            cloud.score_M[cloud.shown], cloud.ratio_M[cloud.shown], ".", color=colour, markeredgewidth=0,
            markersize=7 if len(cloud.shown) < 500 else 4, alpha=0.6 if len(cloud.shown) < 500 else 0.4,
            label=f"{printable(cloud.name)} ({len(cloud.shown):,} of {len(cloud.score_M):,})",
        )  # fmt: skip
    if spread.tau is not None:
        axes.axhline(spread.tau, color=INK, linewidth=1)
        axes.text(
            1.005, spread.tau, f"tau {spread.tau:.3g}", color=INK, fontsize=8, va="center",
            transform=axes.get_yaxis_transform(),
        )  # fmt: skip
    axes.axvline(threshold, color=INK, linewidth=0.8, linestyle=DOTTED)
    _ratio_scale(axes)
    axes.set(xlabel=f"score (dotted: the threshold, {threshold:.3f})", ylabel="ratio |query| / |reference|")
    dress(axes, "right and below: called a copy")
    figure.legend(loc="outside lower center", frameon=False, fontsize=9, markerscale=2, ncols=2)
    return figure


def _ratio_scale(axes: Axes) -> None:
    """Halves and doubles equally far from 1, with ticks at numbers that people use."""
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in RATIO_TICKS if low <= tick <= high]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _whole_numbers() -> Locator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(3, integer=True)


def draw_families(report: Report) -> Figure:
    """Recall of each edit family; of the kinds without a match, the share that is called a copy."""
    found = [group for group in report.groups if group.num_matches][:MAX_BARS]
    called = [group for group in report.groups if not group.num_matches][:MAX_BARS]
    parts = [part for part in (found, called) if part]
    figure = new_figure(7.2, 1.1 + 0.27 * (len(found) + len(called)) + 0.6 * len(parts))
    all_axes = figure.subplots(
        len(parts), 1, squeeze=False, sharex=True, height_ratios=[len(part) for part in parts]
    )[:, 0]
    for axes, part in zip(all_axes, parts, strict=True):
        title = "found of each edit family" if part is found else "called a copy, but without a match"
        _bars(axes, part, report.filtered is not None)
        dress(axes, f"{title}, at score ≥ {report.threshold:.3f}", grid="x")
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", frameon=False, fontsize=9, ncols=2)
    all_axes[-1].set_xlabel("share")
    return figure


def _bars(axes: Axes, groups: list[Group], has_filter: bool) -> None:
    place_G = np.arange(len(groups))
    height = 0.38 if has_filter else 0.7
    alone = [_share(group, filtered=False) for group in groups]
    axes.barh(place_G - has_filter * height / 2, alone, height, color=GREY, label="similarity alone")
    if has_filter:
        filtered = [_share(group, filtered=True) for group in groups]
        axes.barh(place_G + height / 2, filtered, height, color=ORANGE, label="with the ASL filter")
    names = [
        group.kind if group.family is None else f"{printable(group.family) or '(no family)'}"
        for group in groups
    ]
    axes.set_yticks(place_G, [f"{name}  ({g.num_queries:,})" for name, g in zip(names, groups, strict=True)])
    for label, group in zip(axes.get_yticklabels(), groups, strict=True):
        label.set_fontweight("bold" if group.family is None else "normal")
    axes.tick_params(axis="y", labelsize=8, length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)


def _share(group: Group, *, filtered: bool) -> float:
    shares = group.filtered if filtered and group.filtered is not None else group.similarity
    return shares.called_copy if shares.recall is None else shares.recall


def _colours(number: int) -> list[str]:
    return [KIND_COLOURS[place % len(KIND_COLOURS)] for place in range(number)]
