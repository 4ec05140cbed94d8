"""What AugLy does, by name, with lengths as shares of the picture. The only file that imports it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from asl_fast.challenge.banks.bank import Pixels
from asl_fast.errors import InputError

try:
    import augly.image as augly
    import augly.image.utils as augly_image_utils
    from augly import utils as augly_utils
except ImportError as error:
    raise InputError(
        f"--edits augly: {error}; install augly (pip install 'asl-fast[bench]') and libmagic "
        "(Debian: apt-get install libmagic1), or use --edits own"
    ) from None

Picture = Image.Image
Backgrounds = Sequence[Pixels]

_EMOJI = sorted(Path(augly_utils.EMOJI_DIR).rglob("*.png"))
_FONTS = sorted(
    font
    for font in Path(augly_utils.FONTS_DIR).glob("*.ttf")
    if font.name.startswith(("IBM", "Mont", "Open", "Play"))
)
_TEMPLATES = sorted(Path(augly_utils.SCREENSHOT_TEMPLATES_DIR).glob("*.png"))
_LEAST_CAPTION_PX = 24
_SEEDING = threading.Lock()  # noise and shuffling seed NumPy's one generator of the whole process


def versions() -> dict[str, str]:
    return {name: version(name) for name in ("augly", "pillow", "numpy")}


def edited(told: dict[str, Any], picture: Picture, backgrounds: Backgrounds) -> Picture:
    """One edit done, RGB. told: its kind, one of those below, and its parameters by name."""
    parameters = {name: value for name, value in told.items() if name != "kind"}
    with _SEEDING if "seed" in parameters else contextlib.nullcontext():
        edit: Picture = _EDIT[told["kind"]](picture, backgrounds, **parameters)
        return edit.convert("RGB")


def _at(some: Sequence[Any], share: float) -> Any:
    return some[min(len(some) - 1, int(share * len(some)))]


def _do_crop(picture: Picture, _: Backgrounds, left: float, top: float, width: float, height: float) -> Any:
    return augly.crop(picture, x1=left, y1=top, x2=min(1.0, left + width), y2=min(1.0, top + height))


def _do_paste(
    picture: Picture, backgrounds: Backgrounds, other: float, edge: float, left: float, top: float
) -> Any:
    """edge: of the longest that fits in; left, top: share of the free room."""
    ground = _other(backgrounds, other)
    fits = min(1.0, ground.width / ground.height * picture.height / picture.width)
    height = edge * fits
    width = height * ground.height / ground.width * picture.width / picture.height
    return augly.overlay_onto_background_image(
        picture,
        background_image=ground,
        overlay_size=height,
        x_pos=left * (1 - min(1.0, width)),
        y_pos=top * (1 - height),
    )


def _do_text(
    picture: Picture, _: Backgrounds, letters: list[int], font: float, size: float, colour: list[int],
    opacity: float, left: float, top: float,
) -> Any:  # fmt: skip
    """letters: places in the font's own list.  font, as emoji below: which of AugLy's, a share of them."""
    return augly.overlay_text(
        picture, text=letters, font_file=str(_at(_FONTS, font)), font_size=size, opacity=opacity,
        color=tuple(colour), x_pos=left, y_pos=top,
    )  # fmt: skip


def _do_emoji(
    picture: Picture, _: Backgrounds, emoji: float, size: float, opacity: float, left: float, top: float
) -> Any:
    return augly.overlay_emoji(
        picture, emoji_path=str(_at(_EMOJI, emoji)), emoji_size=size, opacity=opacity, x_pos=left, y_pos=top
    )


def _do_overlay(
    picture: Picture,
    backgrounds: Backgrounds,
    other: float,
    size: float,
    opacity: float,
    left: float,
    top: float,
) -> Any:
    return augly.overlay_image(
        picture, overlay=_other(backgrounds, other), overlay_size=size, opacity=opacity, x_pos=left, y_pos=top
    )


def _do_meme(
    picture: Picture, _: Backgrounds, text: str, bar: float, ink: list[int], paper: list[int]
) -> Any:
    return augly.meme_format(
        picture, text=text, caption_height=max(_LEAST_CAPTION_PX, round(bar * picture.height)),
        text_color=tuple(ink), meme_bg_color=tuple(paper),
    )  # fmt: skip


def _do_screenshot(picture: Picture, _: Backgrounds, template: float, cropped: bool) -> Any:
    return augly.overlay_onto_screenshot(
        picture, template_filepath=str(_at(_TEMPLATES, template)), crop_src_to_fit=cropped
    )


def _do_jpeg(picture: Picture, _: Backgrounds, quality: int) -> Any:
    return augly.encoding_quality(picture, quality=quality)


def _do_stretch(picture: Picture, _: Backgrounds, aspect: float) -> Any:
    return augly.change_aspect_ratio(picture, ratio=aspect * picture.width / picture.height)


def _do_stripes(
    picture: Picture, _: Backgrounds, width: float, colour: list[int], angle: float, density: float,
    line: str, opacity: float,
) -> Any:  # fmt: skip
    return augly.overlay_stripes(
        picture, line_width=width, line_color=tuple(colour), line_angle=angle, line_density=density,
        line_type=line, line_opacity=opacity,
    )  # fmt: skip


def _do_flip(picture: Picture, _: Backgrounds, upside_down: bool) -> Any:
    return augly.vflip(picture) if upside_down else augly.hflip(picture)


def _other(backgrounds: Backgrounds, share: float) -> Picture:
    return Image.fromarray(_at(backgrounds, share))


_EDIT: dict[str, Callable[..., Any]] = {
    "crop": _do_crop,
    "paste": _do_paste,
    "text": _do_text,
    "emoji": _do_emoji,
    "overlay": _do_overlay,
    "meme": _do_meme,
    "screenshot": _do_screenshot,
    "jpeg": _do_jpeg,
    "stretch": _do_stretch,
    "stripes": _do_stripes,
    "flip": _do_flip,
    "jitter": lambda picture, _, brightness, contrast, saturation: augly.color_jitter(
        picture, brightness_factor=brightness, contrast_factor=contrast, saturation_factor=saturation
    ),
    "grey": lambda picture, _: augly.grayscale(picture),
    "blur": lambda picture, _, radius: augly.blur(picture, radius=radius * min(picture.size)),
    "noise": lambda picture, _, variance, seed: augly.random_noise(picture, var=variance, seed=seed),
    "pixelise": lambda picture, _, ratio: augly.pixelization(picture, ratio=ratio),
    "shuffle": lambda picture, _, factor, seed: augly.shuffle_pixels(picture, factor=factor, seed=seed),
    "sharpen": lambda picture, _, factor: augly.sharpen(picture, factor=factor),
    "scale": lambda picture, _, factor: augly.scale(picture, factor=factor),
    "rotate": lambda picture, _, degrees: augly.rotate(picture, degrees=degrees),
    "perspective": lambda picture, _, sigma, seed: augly.perspective_transform(
        picture, sigma=sigma * min(picture.size), seed=seed
    ),
    "skew": lambda picture, _, factor, axis: augly.skew(picture, skew_factor=factor, axis=axis),
    "pad": lambda picture, _, width, height, colour: augly.pad(
        picture, w_factor=width, h_factor=height, color=tuple(colour)
    ),
    "square": lambda picture, _, colour: augly.pad_square(picture, color=tuple(colour)),
}


def _text_size(font: ImageFont.FreeTypeFont, text: str) -> tuple[int, int]:
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font)
    return round(right - left), round(bottom - top)


def _homography(
    source_42: Sequence[Sequence[float]], target_42: Sequence[Sequence[float]]
) -> NDArray[np.float64]:
    """The 8 numbers of Pillow's PERSPECTIVE, which maps target back to source."""
    rows, values = [], []
    for (x, y), (u, v) in zip(target_42, source_42, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.linalg.solve(np.array(rows, np.float64), np.array(values, np.float64))


# AugLy 1.0 calls what later libraries removed: Pillow 10 a font's method, NumPy 1.24 np.float
if not hasattr(ImageFont.FreeTypeFont, "getsize_multiline"):
    ImageFont.FreeTypeFont.getsize_multiline = _text_size  # type: ignore[attr-defined]
augly_image_utils.compute_transform_coeffs = _homography
