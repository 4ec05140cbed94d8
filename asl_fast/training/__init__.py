"""Stages composed into a loop that learns: photos -> nested, edited views -> loss -> EMA model.

settings.py  what a recipe says              views.py       the batch of a step, from (seed, step) alone
photos.py    photos decoded once             trainer.py     one step; what a checkpoint must hold
pairs.py     hard-negative pairs on disk     checkpoint.py  written whole, read back exactly
photo_set.py photos, pairs and their classes by number; joining.py, pool.py (what lies over what)
fold.py      what is held back; split.py     evaluation.py, pair_ratios.py  measured on it
executors.py who makes the views
start.py     the first weights               same_run.py    config.json      log.py  metrics, TensorBoard
measuring.py before, on the way, after; best.py  the best average so far;    plot.py run.png
steps.py     step by step                    loop.py        all of it, start to end
team.py      the processes of one run;       statistics.py  of batch norms, over all of them
"""

from asl_fast.training.executors import INPUTS
from asl_fast.training.loop import Outcome, train
from asl_fast.training.pairs import NDEC_ORDERS, FilePair, read_pairs
from asl_fast.training.plot import write_run_plot
from asl_fast.training.settings import PAIR_CLASSES, PAIR_TERMS, PairSettings, TrainSettings
from asl_fast.training.team import Team, joined_team

__all__ = [
    "FilePair",
    "INPUTS",
    "NDEC_ORDERS",
    "Outcome",
    "PAIR_CLASSES",
    "PAIR_TERMS",
    "PairSettings",
    "Team",
    "TrainSettings",
    "joined_team",
    "read_pairs",
    "train",
    "write_run_plot",
]
