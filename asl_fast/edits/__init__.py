"""Edits: what people do to a photo before they post it again, and where every pixel went.

kinds.py     every kind of edit, one file each in geometric/, compositing/, photometric/
chain.py     a list of edits      recipes.py  which edits come how often
steps.py     the few operations that edits are lowered to, given a size
render/      steps drawn on the CPU            trace/  steps followed without pixels
"""

from asl_fast.edits.chain import Chain, View
from asl_fast.edits.edit import Edit, Pixels, Pool
from asl_fast.edits.geometric.crop import Crop, nested_crops
from asl_fast.edits.geometric.fit import Fit
from asl_fast.edits.kinds import COMPOSITING, GEOMETRIC, KINDS, PHOTOMETRIC
from asl_fast.edits.patches import SignPatch, TextPatch
from asl_fast.edits.recipes import RECIPES, Recipe
from asl_fast.edits.render import render
from asl_fast.edits.trace import Alignment, Cover, PatchPairs, Trace, trace

__all__ = [
    "Alignment",
    "COMPOSITING",
    "Chain",
    "Cover",
    "Crop",
    "Edit",
    "Fit",
    "GEOMETRIC",
    "KINDS",
    "PHOTOMETRIC",
    "PatchPairs",
    "Pixels",
    "Pool",
    "RECIPES",
    "Recipe",
    "SignPatch",
    "TextPatch",
    "Trace",
    "View",
    "nested_crops",
    "render",
    "trace",
]
