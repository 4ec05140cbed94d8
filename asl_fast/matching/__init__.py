"""Pairs -> matches: every pair gets a verdict, and matches.csv keeps them; views are folded to pictures."""

from asl_fast.matching.fold import best_of, folded_best_pairs, folded_nearest, folded_stream
from asl_fast.matching.judge import judge
from asl_fast.matching.judged import write_judged
from asl_fast.matching.pictures import PictureRows, by_picture
from asl_fast.matching.table import Written, read_matches, write_matches, write_pairs

__all__ = [
    "PictureRows",
    "Written",
    "best_of",
    "by_picture",
    "folded_best_pairs",
    "folded_nearest",
    "folded_stream",
    "judge",
    "read_matches",
    "write_judged",
    "write_matches",
    "write_pairs",
]
