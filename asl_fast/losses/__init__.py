"""What training minimises: class weights and the settings of the loss."""

from asl_fast.losses.asl import AslLoss, LossSettings
from asl_fast.losses.pairs import content_pairs

__all__ = ["AslLoss", "LossSettings", "content_pairs"]
