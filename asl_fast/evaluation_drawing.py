"""reports + pictures: plots and the page of an evaluation, with the pictures of its worst pairs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from asl_fast import reports
from asl_fast.evaluated import SIDES, Evaluated


def draw(
    evaluated: Evaluated,
    truth: reports.Truth,
    kinds: reports.QueryKinds | None,
    report: reports.Report,
    *,
    page: str | None,
    folder: str | None,
    pictures: tuple[str, str] | None,
) -> dict[str, Any]:
    """Draw into the page and the folder, whichever is given; return what they show, for the JSON.

    pictures: of queries and references, where the rows don't say.
    """
    predictions, tau = evaluated.predictions, evaluated.tau
    spread = reports.spread_of(predictions, truth, kinds=kinds, tau=tau)
    figures = {"precision-recall": reports.draw_curve(report), **reports.draw_all(report, spread)}
    if folder:
        for name, figure in figures.items():
            reports.write_png(Path(folder) / f"{name}.png", figure)
    kept_P = reports.kept_by(predictions, tau)
    worst = reports.worst_pairs(predictions, truth, report.threshold, is_kept_P=kept_P, kinds=kinds)
    if page:
        query_picture, reference_picture = _finders(evaluated, pictures)
        reports.write_evaluation_page(
            page, report, worst, figures,
            query_picture=query_picture, reference_picture=reference_picture,
            title=f"{Path(predictions.name).name} against {Path(truth.name).name}",
        )  # fmt: skip
    return {"spread": spread.as_json(), "worst": dataclasses.asdict(worst)}


def _finders(evaluated: Evaluated, pictures: tuple[str, str] | None) -> list[reports.FindPicture]:
    """Of queries and references."""
    if not pictures and not evaluated.sides:
        return [lambda _: None, lambda _: None]
    from asl_fast.pictures import finder, finder_in

    if pictures:
        return [finder_in(source, "--pictures") for source in pictures]
    known = {side: frozenset(evaluated.sides[side].ids) for side in SIDES}
    finders = {side: finder(evaluated.sides[side]) for side in SIDES}
    # the truth may name pictures that have no row
    return [
        lambda identity, side=side: finders[side](identity) if identity in known[side] else None  # type: ignore[misc]
        for side in ("queries", "refs")
    ]
