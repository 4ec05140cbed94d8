"""Where every pixel of a view came from, followed through the steps without looking at pixels.

following.py  steps -> Trace        trace.py    matrix, region, what hides the photo
pairs.py      two traces -> points, boxes and patch pairs        polygons.py  convex clipping
"""

from asl_fast.edits.trace.following import trace
from asl_fast.edits.trace.pairs import Alignment, PatchPairs
from asl_fast.edits.trace.trace import Cover, Trace

__all__ = ["Alignment", "Cover", "PatchPairs", "Trace", "trace"]
