"""One look for every plot: ink on white, grey for what is there to compare with, few colours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from asl_fast.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GREY, BLUE, ORANGE = "#1f2328", "#8b949e", "#0b62d6", "#d9480f"
TEAL, PURPLE, BROWN = "#11637a", "#7a3ea8", "#8a6d1f"
KIND_COLOURS = (BLUE, ORANGE, TEAL, PURPLE, BROWN, GREY)  # copies first
DOTTED = (0, (4, 4))


def new_figure(width: float = 7.2, height: float = 5.4) -> Figure:
    """A figure of its own, in inches: no pyplot, no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, title: str, *, grid: str = "both") -> None:
    """Title, a faint grid behind the data, two spines."""
    axes.set_title(title, color=INK, fontsize=10)
    axes.grid(axis=grid, color="#d0d7de", linewidth=0.5)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def write_png(path: str | os.PathLike[str], figure: Figure) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
