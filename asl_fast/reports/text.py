"""Tables for a terminal."""

from __future__ import annotations

from asl_fast.records import Matches
from asl_fast.reports.evaluation import AT_P90, GIVEN, TOP_N, Measures, Report
from asl_fast.reports.metrics import OperatingPoint

MAX_ID_WIDTH = 40
_FROM = {GIVEN: "given", AT_P90: "that of P90", TOP_N: "the last of the top N"}


def printable(text: str) -> str:
    r"""Ids are file names, and file names are hostile: what can't be seen is shown as its escape (`\x1b`)."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def table(matches: Matches, num_rows: int, num_matches: int | None = None) -> str:
    """The best `num_rows` matches as lines of text, with a line that says how many are left out.

    num_matches: how many there are in all, if `matches` holds only the best of them.
    """
    in_all = len(matches) if num_matches is None else num_matches
    shown = min(num_rows, len(matches))
    rows: list[tuple[str, ...]] = [("query", "reference", "score", "ratio", "verdict")]
    for row in range(shown):
        rows.append(
            (
                _short(matches.query_id_M[row]),
                _short(matches.reference_id_M[row]),
                f"{matches.score_M[row]:.4f}",
                f"{matches.ratio_M[row]:.3f}",
                matches.verdict_M[row],
            )
        )
    lines = aligned(rows, "<<>><")
    if shown < in_all:
        lines.append(f"... and {in_all - shown:,} more")
    return "\n".join(lines)


def measures_table(report: Report) -> str:
    """The numbers of an evaluation side by side: similarity alone, with the ASL filter."""
    sides = [("similarity alone", report.similarity)]
    if report.filtered is not None:
        sides.append(("with ASL filter", report.filtered))
    columns = [[title, *_cells(measures)] for title, measures in sides]
    names = [
        "", "uAP", "RP90", "  at score", f"precision at {report.n} (no refill)",
        f"precision at {report.n} (refill)", "recall at 1",
        f"at score {report.threshold:.4f} ({_FROM[report.threshold_from]}):",
        "  true positives", "  false positives", "  precision", "  recall", "of all predictions:",
        "  true positives", "  false positives",
    ]  # fmt: skip
    return "\n".join(aligned([tuple(row) for row in zip(names, *columns, strict=True)], "<>>"))


def groups_table(report: Report) -> str:
    """Kinds of queries and edit families, one a line: recall where there are matches, elsewhere the share of
    queries that are called a copy; at the operating threshold, and of the best prediction of each query.
    """
    titles = ["", "queries", "", f"score >= {report.threshold:.4f}", "best of each"]
    if report.filtered is not None:
        titles += ["ASL, same score", "ASL, best"]
    rows = [tuple(titles)]
    for group in report.groups:
        has_match = group.num_matches > 0
        cells = [group.kind if group.family is None else f"  {_short(group.family) or '(no family)'}"]
        cells += [f"{group.num_queries:,}", "found" if has_match else "called a copy"]
        for shares in filter(None, (group.similarity, group.filtered)):
            cells += [
                _share(shares.recall if has_match else shares.called_copy),
                _share(shares.recall_at_1 if has_match else shares.called_copy_at_1),
            ]
        rows.append(tuple(cells))
    return "\n".join(aligned(rows, "<><>>>>"))


def _cells(measures: Measures) -> list[str]:
    rp90: OperatingPoint | None = measures.rp90
    said = measures.at_threshold
    return [
        f"{measures.uap:.4f}",
        f"{rp90.recall:.4f}" if rp90 else "does not reach P90",
        f"{rp90.threshold:.4f}" if rp90 else "-",
        _share(measures.precision_at_n_no_refill),
        _share(measures.precision_at_n_refill),
        f"{measures.recall_at_1:.4f}",
        "",
        f"{said.true_positives:,}",
        f"{said.false_positives:,}",
        _share(said.precision),
        f"{said.recall:.4f}",
        "",
        f"{measures.true_positives:,}",
        f"{measures.false_positives:,}",
    ]


def _share(value: float | None) -> str:
    return "nothing kept" if value is None else f"{value:.4f}"


def _short(identity: str) -> str:
    text = printable(identity)
    return text if len(text) <= MAX_ID_WIDTH else text[: MAX_ID_WIDTH - 1] + "…"


def aligned(rows: list[tuple[str, ...]], sides: str) -> list[str]:
    """Lines of cells in columns; sides: "<" or ">" for each column."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=False)
        ).rstrip()
        for row in rows
    ]
