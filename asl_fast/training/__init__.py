"""Stages composed into a loop that learns: photos -> nested, edited views -> loss -> EMA model.

settings.py  what a recipe says           views.py       the batch of a step, from (seed, step) alone
photos.py    photos decoded once          trainer.py     one step; what a checkpoint must hold
fold.py      what is held back            checkpoint.py  written whole, read back exactly
evaluation.py  measured on the fold       log.py         metrics.jsonl, TensorBoard, progress
loop.py      all of it, start to end
"""

from asl_fast.training.loop import Outcome, train
from asl_fast.training.settings import TrainSettings

__all__ = ["Outcome", "TrainSettings", "train"]
