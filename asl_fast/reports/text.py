"""Tables for a terminal."""

from __future__ import annotations

from asl_fast.records import Matches
from asl_fast.reports.bootstrap import Interval
from asl_fast.reports.comparison import Comparison
from asl_fast.reports.evaluation import AT_P90, GIVEN, TOP_N, Measures, Report
from asl_fast.reports.metrics import OperatingPoint

MAX_ID_WIDTH = 40
_TITLES = {
    "uap": "uAP",
    "rp90": "RP90",
    "precision_at_n": "precision at {n} (no refill)",
    "recall_at_1": "recall at 1",
}
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
    """The numbers of an evaluation side by side, similarity alone and with the ASL filter; with the 95 %
    intervals that it has.
    """
    between = report.intervals
    sides = [("similarity alone", report.similarity, between.similarity if between else {})]
    if report.filtered is not None:
        sides.append(("with ASL filter", report.filtered, (between.filtered if between else None) or {}))
    columns = [[title, *_cells(measures, found)] for title, measures, found in sides]
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


def comparison_table(comparison: Comparison) -> str:
    """Two lists side by side, what differs between them, how sure that is."""
    lines = [f"A  {printable(comparison.a)}", f"B  {printable(comparison.b)}"]
    for title, found in (
        ("similarity alone", comparison.similarity),
        ("with ASL filter", comparison.filtered),
    ):
        if found is None:
            continue
        rows: list[tuple[str, ...]] = [(title, "A", "B", "B - A", "95 % interval", "p")]
        for name, one in found.items():
            rows.append(
                (
                    _TITLES[name].format(n=comparison.n),
                    f"{one.a:.4f}",
                    f"{one.b:.4f}",
                    f"{one.difference:+.4f}",
                    f"{one.low:+.4f} to {one.high:+.4f}",
                    f"{one.p:.3f}",
                )
            )
        lines += ["", *aligned(rows, "<>>>>>")]
    return "\n".join(lines)


def _cells(measures: Measures, between: dict[str, Interval]) -> list[str]:
    rp90: OperatingPoint | None = measures.rp90
    said = measures.at_threshold
    return [
        f"{measures.uap:.4f}{_between(between, 'uap')}",
        f"{rp90.recall:.4f}{_between(between, 'rp90')}" if rp90 else "does not reach P90",
        f"{rp90.threshold:.4f}" if rp90 else "-",
        _share(measures.precision_at_n_no_refill) + _between(between, "precision_at_n"),
        _share(measures.precision_at_n_refill),
        f"{measures.recall_at_1:.4f}{_between(between, 'recall_at_1')}",
        "",
        f"{said.true_positives:,}",
        f"{said.false_positives:,}",
        _share(said.precision),
        f"{said.recall:.4f}",
        "",
        f"{measures.true_positives:,}",
        f"{measures.false_positives:,}",
    ]


def _between(between: dict[str, Interval], name: str) -> str:
    return f" [{between[name].low:.4f}, {between[name].high:.4f}]" if name in between else ""


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
