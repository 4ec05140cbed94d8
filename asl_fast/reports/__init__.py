"""What people look at: metrics, the precision-recall curve, tables, and the HTML page of matches."""

from asl_fast.reports.curve import draw_curve, write_curve
from asl_fast.reports.evaluation import Measures, Report, as_json, check_common_ids, evaluate, write_json
from asl_fast.reports.html import Picture, write_html
from asl_fast.reports.joining import MAX, MEAN, Joined, joined
from asl_fast.reports.kinds import QueryKinds, holds_kinds, read_kinds
from asl_fast.reports.predictions import Predictions, predictions_of, read_predictions
from asl_fast.reports.sheet import PictureRow, SheetRow, write_pictures, write_sheet
from asl_fast.reports.sweep import SweepPoint, tau_sweep, write_sweep
from asl_fast.reports.text import aligned, groups_table, measures_table, printable, table
from asl_fast.reports.truth import Truth, read_truth

__all__ = [
    "MAX", "MEAN", "Joined", "Measures", "Picture", "PictureRow", "Predictions", "QueryKinds", "Report",
    "SheetRow", "SweepPoint", "Truth", "aligned", "as_json", "check_common_ids", "draw_curve", "evaluate",
    "groups_table", "holds_kinds", "joined", "measures_table", "predictions_of", "printable", "read_kinds",
    "read_predictions", "read_truth", "table", "tau_sweep", "write_curve", "write_html", "write_json",
    "write_pictures", "write_sheet", "write_sweep",
]  # fmt: skip
