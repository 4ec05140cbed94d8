"""Edits: what people do to a photo before they post it again, one file per kind.

crop.py     nested crops of falling area        edit.py   what every edit has
chain.py    a sampled list of edits             the rest  one kind each
"""

from asl_fast.edits.blur import Blur
from asl_fast.edits.caption import Caption
from asl_fast.edits.chain import Chain, sample_chain
from asl_fast.edits.colour import Colour
from asl_fast.edits.crop import Crop, nested_crops
from asl_fast.edits.edit import Edit, Pool
from asl_fast.edits.flip import Flip
from asl_fast.edits.grayscale import Grayscale
from asl_fast.edits.jpeg import Jpeg
from asl_fast.edits.pad import Pad
from asl_fast.edits.paste import Paste
from asl_fast.edits.rotate import Rotate
from asl_fast.edits.stripe import Stripe

__all__ = [
    "Blur",
    "Caption",
    "Chain",
    "Colour",
    "Crop",
    "Edit",
    "Flip",
    "Grayscale",
    "Jpeg",
    "Pad",
    "Paste",
    "Pool",
    "Rotate",
    "Stripe",
    "nested_crops",
    "sample_chain",
]
