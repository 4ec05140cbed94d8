"""Labelled pairs -> thresholds: tau, the soft ratio, and operating points of stated precision.

pairs.py    LabelledPairs: scores, ratios, and which pairs are right
ranking.py  pairs in order of score: uAP, and the best threshold for a precision
fit.py      what is chosen on a fold; intervals and held-back figures
"""

from asl_fast.calibration.fit import KEPT, PRECISION, SHARE_KEPT, UAP, Fitted, HeldBack, calibrate
from asl_fast.calibration.pairs import LabelledPairs

__all__ = ["KEPT", "PRECISION", "SHARE_KEPT", "UAP", "Fitted", "HeldBack", "LabelledPairs", "calibrate"]
