"""All kinds of edit, by name."""

from __future__ import annotations

from asl_fast.edits.compositing.caption import Caption
from asl_fast.edits.compositing.collage import Collage
from asl_fast.edits.compositing.emoji import Emoji
from asl_fast.edits.compositing.erasing import Erasing
from asl_fast.edits.compositing.meme import Meme
from asl_fast.edits.compositing.overlay import Overlay
from asl_fast.edits.compositing.paste import Paste
from asl_fast.edits.compositing.screenshot import Screenshot
from asl_fast.edits.compositing.shapes import Shapes
from asl_fast.edits.compositing.stripe import Stripe
from asl_fast.edits.compositing.underlay import Underlay
from asl_fast.edits.edit import Edit
from asl_fast.edits.geometric.affine import Affine
from asl_fast.edits.geometric.crop import Crop
from asl_fast.edits.geometric.fit import Fit
from asl_fast.edits.geometric.flip import Flip
from asl_fast.edits.geometric.pad import Pad
from asl_fast.edits.geometric.perspective import Perspective
from asl_fast.edits.geometric.rotate import Rotate
from asl_fast.edits.geometric.shrink import Shrink
from asl_fast.edits.geometric.stretch import Stretch
from asl_fast.edits.photometric.blur import Blur
from asl_fast.edits.photometric.colour import Colour
from asl_fast.edits.photometric.dither import Dither
from asl_fast.edits.photometric.equalise import Equalise
from asl_fast.edits.photometric.gamma import Gamma
from asl_fast.edits.photometric.grayscale import Grayscale
from asl_fast.edits.photometric.halftone import Halftone
from asl_fast.edits.photometric.jpeg import Jpeg
from asl_fast.edits.photometric.line_drawing import LineDrawing
from asl_fast.edits.photometric.median import Median
from asl_fast.edits.photometric.motion_blur import MotionBlur
from asl_fast.edits.photometric.noise import Noise
from asl_fast.edits.photometric.pixelise import Pixelise
from asl_fast.edits.photometric.posterise import Posterise
from asl_fast.edits.photometric.shadow import Shadow
from asl_fast.edits.photometric.sharpen import Sharpen
from asl_fast.edits.photometric.shuffle import Shuffle
from asl_fast.edits.photometric.tone import Tone
from asl_fast.edits.photometric.vignette import Vignette
from asl_fast.edits.photometric.webp import Webp

GEOMETRIC: tuple[type[Edit], ...] = (
    Crop, Fit, Flip, Rotate, Affine, Perspective, Pad, Stretch, Shrink,
)  # fmt: skip
COMPOSITING: tuple[type[Edit], ...] = (
    Paste, Overlay, Underlay, Collage, Screenshot, Meme, Caption, Emoji, Stripe, Shapes, Erasing,
)  # fmt: skip
PHOTOMETRIC: tuple[type[Edit], ...] = (
    Colour, Grayscale, Tone, Gamma, Equalise, Posterise, Shadow, Vignette,
    Blur, MotionBlur, Median, Sharpen, Noise, Shuffle, Pixelise, Dither, Halftone, Jpeg, Webp, LineDrawing,
)  # fmt: skip
KINDS = {kind.__name__: kind for kind in (*GEOMETRIC, *COMPOSITING, *PHOTOMETRIC)}
