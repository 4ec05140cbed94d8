"""An evaluation to look at, in one HTML file that needs nothing else: numbers, plots, the worst pairs."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asl_fast.files import replacing
from asl_fast.reports.evaluation import Report
from asl_fast.reports.gallery import Gallery, Shown
from asl_fast.reports.html import FindPicture, Thumbnails, render
from asl_fast.reports.text import groups_table, measures_table, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_evaluation_page(
    path: str | os.PathLike[str],
    report: Report,
    gallery: Gallery,
    figures: Mapping[str, Figure],
    *,
    query_picture: FindPicture,
    reference_picture: FindPicture,
    title: str = "asl_fast evaluation",
) -> None:
    """Write the page, or leave `path` as it was. Pictures are asked for as in `write_html`."""
    thumbnails = Thumbnails(Path(os.path.abspath(path)).parent)
    sections = [
        ("False positives", "wrong pairs called copies, best score first", gallery.false_positives,
         gallery.num_false_positives),
        ("Dropped by the ratio", "right pairs that score well enough, best score first", gallery.dropped,
         gallery.num_dropped),
        ("Missed", "right pairs never predicted, then those below the threshold, lowest score first",
         gallery.missed, gallery.num_missed),
    ]  # fmt: skip
    pairs = [pair for _, _, part, _ in sections for pair in part]
    queries = thumbnails.of([pair.query_id for pair in pairs], query_picture)
    references = thumbnails.of([pair.reference_id for pair in pairs], reference_picture)
    page = render(
        "evaluation",
        title=printable(title),
        table=measures_table(report),
        groups=groups_table(report) if report.groups else "",
        plots=[(name, _data_uri(figure)) for name, figure in figures.items()],
        sections=[
            {
                "title": name,
                "what": what,
                "number": number,
                "pairs": [_values(pair, queries, references) for pair in part],
            }
            for name, what, part, number in sections
        ],
        thumbnails="".join(thumbnails.rules),
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _values(pair: Shown, queries: dict[str, Any], references: dict[str, Any]) -> dict[str, Any]:
    return {
        "query": queries[pair.query_id],
        "reference": references[pair.reference_id],
        "score": pair.score,
        "ratio": pair.ratio,
        "note": printable(pair.note),
    }


def _data_uri(figure: Figure) -> str:
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode("ascii")
