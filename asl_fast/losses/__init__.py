"""What training minimises: class weights, the settings of the loss, and how a million classes are shared out.

asl.py         the module that owns the class weights       pairs.py      which views form ratio pairs
divided.py     the loss over divided or sampled classes     ranks.py      classes over processes
negatives.py   a random share of the other classes          class_step.py SGD and Adam without dW
shards.py      class weights on disk, for any number of ranks
"""

from asl_fast.losses.asl import AslLoss, LossSettings
from asl_fast.losses.class_step import ClassAdam, ClassSgd, ClassStep
from asl_fast.losses.divided import divided_loss
from asl_fast.losses.pairs import ORDERED_BY, content_pairs, even_pairs, over_pairs, plain_pairs
from asl_fast.losses.ranks import Ranks
from asl_fast.losses.shards import load_class_shards, save_class_shards

__all__ = [
    "AslLoss",
    "ClassAdam",
    "ClassSgd",
    "ClassStep",
    "LossSettings",
    "ORDERED_BY",
    "Ranks",
    "content_pairs",
    "divided_loss",
    "even_pairs",
    "load_class_shards",
    "over_pairs",
    "plain_pairs",
    "save_class_shards",
]
