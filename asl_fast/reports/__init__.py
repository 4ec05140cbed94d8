"""What people look at: metrics, the precision-recall curve, tables, and the HTML page of matches."""

from asl_fast.reports.bootstrap import usual_resamples
from asl_fast.reports.comparison import Comparison, compare
from asl_fast.reports.curve import draw_both_curves, draw_curve, write_curve
from asl_fast.reports.evaluation import (
    Measures,
    Report,
    as_json,
    check_common_ids,
    evaluate,
    kept_by,
    write_json,
)
from asl_fast.reports.evaluation_page import write_evaluation_page
from asl_fast.reports.gallery import worst_pairs
from asl_fast.reports.html import FindPicture, Picture, write_html
from asl_fast.reports.joining import MAX, MEAN, Joined, joined
from asl_fast.reports.kinds import QueryKinds, holds_kinds, read_kinds
from asl_fast.reports.plots import draw_all
from asl_fast.reports.predictions import Predictions, predictions_of, read_predictions
from asl_fast.reports.sheet import PictureRow, SheetRow, write_pictures, write_sheet
from asl_fast.reports.spread import spread_of
from asl_fast.reports.style import write_png
from asl_fast.reports.sweep import SweepPoint, tau_sweep, write_sweep
from asl_fast.reports.text import aligned, comparison_table, groups_table, measures_table, printable, table
from asl_fast.reports.truth import Truth, read_truth

__all__ = [
    "MAX", "MEAN", "Comparison", "FindPicture", "Joined", "Measures", "Picture", "PictureRow",
    "Predictions", "QueryKinds", "Report", "SheetRow", "SweepPoint", "Truth", "aligned", "as_json",
    "check_common_ids", "compare", "comparison_table", "draw_all", "draw_both_curves", "draw_curve",
    "evaluate", "groups_table", "holds_kinds", "joined", "kept_by", "measures_table", "predictions_of",
    "printable", "read_kinds", "read_predictions", "read_truth", "spread_of", "table", "tau_sweep",
    "usual_resamples", "worst_pairs", "write_curve", "write_evaluation_page", "write_html", "write_json",
    "write_pictures", "write_png", "write_sheet", "write_sweep",
]  # fmt: skip
