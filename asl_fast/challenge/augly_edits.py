"""AugLy's edits (the extra `bench`): the bank of the DISC21 challenge. The only file that imports it.

A chain is a JSON list of edits, each {"edit": name, and numbers as shares of the picture}.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from asl_fast.challenge.bank import FAMILIES, STRENGTHS
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

Pixels = NDArray[np.uint8]
Told = dict[str, Any]
Picture = Image.Image
Rng = np.random.Generator

_EMOJI = sorted(Path(augly_utils.EMOJI_DIR).rglob("*.png"))
_FONTS = sorted(
    font
    for font in Path(augly_utils.FONTS_DIR).glob("*.ttf")
    if font.name.startswith(("Open", "Mont", "Play", "IBM"))
)
_TEMPLATES = sorted(Path(augly_utils.SCREENSHOT_TEMPLATES_DIR).glob("*.png"))
_WORDS = (
    "when",
    "you",
    "see",
    "it",
    "again",
    "nobody",
    "me",
    "at",
    "monday",
    "best",
    "day",
    "ever",
    "look",
    "wait",
)
_LEAST_CAPTION_PX = 24


def versions() -> dict[str, str]:
    return {"augly": version("augly"), "pillow": version("pillow"), "numpy": version("numpy")}


def copy(family: str, strength: str, rng: Rng) -> str:
    return json.dumps(_FAMILY[family](rng, STRENGTHS.index(strength)))


def light(rng: Rng) -> str:
    edits = [
        {
            "edit": "jitter", "brightness": _in(rng, 0.9, 1.1), "contrast": _in(rng, 0.9, 1.1),
            "saturation": _in(rng, 0.85, 1.15),
        },
        {"edit": "scale", "factor": _in(rng, 0.6, 1.0)},
        {"edit": "jpeg", "quality": _whole(rng, 50, 90)},
    ]  # fmt: skip
    return json.dumps([edit for edit in edits if edit["edit"] == "jpeg" or rng.random() < 0.6])


def apply(chain: str, photo: Pixels, backgrounds: Sequence[Pixels]) -> Pixels:
    picture = Image.fromarray(photo)
    for told in json.loads(chain):
        parameters = {name: value for name, value in told.items() if name != "edit"}
        picture = _EDIT[told["edit"]](picture, backgrounds, **parameters).convert("RGB")
    return np.asarray(picture)


# What is drawn, in shares of the picture; the three pairs are the ranges of easy, medium and hard.
Range = tuple[float, float]


def _in(rng: Rng, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 4)


def _of(rng: Rng, strength: int, *ranges: Range) -> float:
    return _in(rng, *ranges[strength])


def _whole(rng: Rng, low: int, high: int) -> int:
    return int(rng.integers(low, high + 1))


def _either(rng: Rng, value: float) -> float:
    """The factor or its inverse."""
    return value if rng.random() < 0.5 else round(1 / value, 4)


def _share(rng: Rng) -> float:
    return _in(rng, 0, 1)


def _colour(rng: Rng) -> list[int]:
    """Black, white or any, a third each."""
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return [[0, 0, 0], [255, 255, 255], [red, green, blue]][rng.integers(3)]


def _crop(rng: Rng, strength: int) -> list[Told]:
    area = _of(rng, strength, (0.6, 0.85), (0.35, 0.6), (0.15, 0.35))
    stretch = _in(rng, 0.8, 1.25)
    width, height = min(1.0, (area * stretch) ** 0.5), min(1.0, (area / stretch) ** 0.5)
    left, top = rng.random() * (1 - width), rng.random() * (1 - height)
    box = [round(float(edge), 4) for edge in (left, top, left + width, top + height)]
    return [{"edit": "crop", "box": box}]


def _paste(rng: Rng, strength: int) -> list[Told]:
    edge = _of(rng, strength, (0.65, 0.85), (0.45, 0.65), (0.3, 0.45))
    return [{"edit": "paste", "other": _share(rng), "edge": edge, "left": _share(rng), "top": _share(rng)}]


def _text(rng: Rng, strength: int) -> Told:
    words = _whole(rng, 4, (8, 14, 20)[strength])
    return {
        "edit": "text",
        "letters": rng.integers(0, 1000, words).tolist(),
        "font": _FONTS[rng.integers(len(_FONTS))].name,
        "size": _of(rng, strength, (0.06, 0.1), (0.1, 0.16), (0.15, 0.25)),
        "colour": _colour(rng),
        "opacity": _in(rng, 0.6, 1),
        "left": _in(rng, 0, 0.4),
        "top": _in(rng, 0, 0.8),
    }


def _emoji(rng: Rng, strength: int) -> Told:
    size = _of(rng, strength, (0.12, 0.22), (0.2, 0.35), (0.3, 0.55))
    emoji = _EMOJI[rng.integers(len(_EMOJI))]
    return {
        "edit": "emoji",
        "name": f"{emoji.parent.name}/{emoji.name}",
        "size": size,
        "opacity": _in(rng, 0.7, 1),
        "left": _in(rng, 0, 1 - size),
        "top": _in(rng, 0, 1 - size),
    }


def _picture(rng: Rng, strength: int) -> Told:
    size = _of(rng, strength, (0.2, 0.3), (0.3, 0.45), (0.45, 0.6))
    return {
        "edit": "overlay", "other": _share(rng), "size": size, "opacity": _in(rng, 0.7, 1),
        "left": _in(rng, 0, 1 - size), "top": _in(rng, 0, 1 - size),
    }  # fmt: skip


def _stickers(rng: Rng, strength: int) -> list[Told]:
    kinds = (_text, _emoji, _picture)
    number = strength + 1
    return [kinds[rng.integers(3)](rng, strength) for _ in range(number)]


def _screen(rng: Rng, strength: int) -> list[Told]:
    if rng.random() < 0.5:
        words = rng.choice(_WORDS, _whole(rng, 2, 5)).tolist()
        bar = _of(rng, strength, (0.1, 0.2), (0.2, 0.4), (0.4, 0.8))
        ink, paper = ((0, 0, 0), (255, 255, 255)) if rng.random() < 0.7 else ((255, 255, 255), (0, 0, 0))
        meme: Told = {
            "edit": "meme",
            "text": " ".join(words),
            "bar": bar,
            "ink": list(ink),
            "paper": list(paper),
        }
        return [meme, *(_stickers(rng, 0) if strength == 2 else [])]
    template = _TEMPLATES[rng.integers(len(_TEMPLATES))].name
    screen = {"edit": "screenshot", "template": template, "cropped": strength > 0}
    return [
        screen,
        *([] if strength < 2 else [_emoji(rng, 0), {"edit": "jpeg", "quality": _whole(rng, 20, 50)}]),
    ]


def _colours(rng: Rng, strength: int) -> list[Told]:
    limits = ((0.75, 0.9), (0.55, 0.75), (0.35, 0.55))
    jitter: Told = {
        "edit": "jitter",
        "brightness": _either(rng, _of(rng, strength, *limits)),
        "contrast": _either(rng, _of(rng, strength, *limits)),
        "saturation": _either(rng, _of(rng, strength, *limits)),
    }
    if rng.random() < 0.3:
        return [{"edit": "grey"}, {**jitter, "saturation": 1.0}]
    return [jitter]


def _noise(rng: Rng, strength: int) -> Told:
    variance = _of(rng, strength, (0.002, 0.005), (0.005, 0.02), (0.02, 0.06))
    return {"edit": "noise", "variance": variance, "seed": _whole(rng, 0, 2**31 - 1)}


def _blurs(rng: Rng, strength: int) -> list[Told]:
    kind = rng.integers(5)
    if kind == 0:
        return [{"edit": "blur", "radius": _of(rng, strength, (0.003, 0.007), (0.007, 0.015), (0.015, 0.03))}]
    if kind == 1:
        return [_noise(rng, strength)]
    if kind == 2:
        return [{"edit": "pixelise", "ratio": _of(rng, strength, (0.4, 0.7), (0.2, 0.4), (0.1, 0.2))}]
    if kind == 3:
        factor = _of(rng, strength, (0.02, 0.05), (0.05, 0.12), (0.12, 0.3))
        return [{"edit": "shuffle", "factor": factor, "seed": _whole(rng, 0, 2**31 - 1)}]
    return [{"edit": "sharpen", "factor": _of(rng, strength, (2, 4), (4, 10), (10, 25))}, _noise(rng, 0)]


def _rescale(rng: Rng, strength: int) -> list[Told]:
    return [
        {"edit": "scale", "factor": _of(rng, strength, (0.5, 0.8), (0.3, 0.5), (0.15, 0.3))},
        {"edit": "jpeg", "quality": _whole(rng, *((40, 70), (15, 40), (4, 15))[strength])},
    ]


def _turn(rng: Rng, strength: int) -> list[Told]:
    kind, sign = rng.integers(3), (-1, 1)[rng.integers(2)]
    if kind == 0:
        quarter = strength == 2 and rng.random() < 0.4
        degrees = (
            float(rng.choice((90, 180, 270)))
            if quarter
            else sign * _of(rng, strength, (3, 10), (10, 25), (25, 45))
        )
        return [{"edit": "rotate", "degrees": degrees}]
    if kind == 1:
        sigma = _of(rng, strength, (0.03, 0.05), (0.05, 0.09), (0.09, 0.14))
        return [{"edit": "perspective", "sigma": sigma, "seed": _whole(rng, 0, 2**31 - 1)}]
    factor = sign * _of(rng, strength, (0.05, 0.15), (0.15, 0.35), (0.35, 0.6))
    return [{"edit": "skew", "factor": factor, "axis": _whole(rng, 0, 1)}]


def _frame(rng: Rng, strength: int) -> list[Told]:
    kind = rng.integers(3)
    if kind == 0:
        width, height = (_of(rng, strength, (0.03, 0.1), (0.1, 0.25), (0.25, 0.5)) for _ in range(2))
        return [{"edit": "pad", "width": width, "height": height, "colour": _colour(rng)}]
    if kind == 1:
        stripes: Told = {
            "edit": "stripes",
            "width": _of(rng, strength, (0.1, 0.2), (0.2, 0.35), (0.35, 0.5)),
            "colour": _colour(rng),
            "angle": _in(rng, -90, 90),
            "density": _of(rng, strength, (0.1, 0.3), (0.2, 0.4), (0.3, 0.6)),
            "line": ("solid", "dotted", "dashed")[rng.integers(3)],
            "opacity": _in(rng, 0.6, 1),
        }
        return [stripes]
    stretch = _either(rng, _of(rng, strength, (1.1, 1.3), (1.3, 1.7), (1.7, 2.4)))
    return [
        {"edit": "stretch", "aspect": stretch},
        *([] if strength < 2 else [{"edit": "square", "colour": _colour(rng)}]),
    ]


_SINGLE = {
    "crop": _crop, "turn": _turn, "colour": _colours, "blur": _blurs, "frame": _frame, "stickers": _stickers,
    "paste": _paste, "screen": _screen, "rescale": _rescale,
}  # fmt: skip


def _flip(rng: Rng, strength: int) -> list[Told]:
    flip: Told = {"edit": "flip", "upside_down": bool(strength == 2 and rng.random() < 0.3)}
    if strength == 0:
        return [flip, {"edit": "jpeg", "quality": _whole(rng, 60, 90)}]
    return [flip, *_some(rng, 1, strength - 1)]


def _chain(rng: Rng, strength: int) -> list[Told]:
    flip: list[Told] = [{"edit": "flip", "upside_down": False}] if rng.random() < 0.3 else []
    return [*flip, *_some(rng, strength + 2, min(1, strength))]


def _some(rng: Rng, number: int, strength: int) -> list[Told]:
    """Edits of so many families, in the order in which people do them: that of _SINGLE."""
    chosen = sorted(rng.permutation(len(_SINGLE))[:number].tolist())
    families = [list(_SINGLE.values())[place] for place in chosen]
    return [edit for family in families for edit in family(rng, strength)]


_FAMILY: dict[str, Callable[[Rng, int], list[Told]]] = {**_SINGLE, "flip": _flip, "chain": _chain}
assert set(_FAMILY) == set(FAMILIES)


# How it is done.
Backgrounds = Sequence[Pixels]


def _do_crop(picture: Picture, _: Backgrounds, box: list[float]) -> Any:
    x1, y1, x2, y2 = box
    return augly.crop(picture, x1=x1, y1=y1, x2=x2, y2=y2)


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
    picture: Picture, _: Backgrounds, letters: list[int], font: str, size: float, colour: list[int],
    opacity: float, left: float, top: float,
) -> Any:  # fmt: skip
    return augly.overlay_text(
        picture, text=letters, font_file=str(Path(augly_utils.FONTS_DIR) / font), font_size=size,
        opacity=opacity, color=tuple(colour), x_pos=left, y_pos=top,
    )  # fmt: skip


def _do_emoji(
    picture: Picture, _: Backgrounds, name: str, size: float, opacity: float, left: float, top: float
) -> Any:
    return augly.overlay_emoji(
        picture, emoji_path=str(Path(augly_utils.EMOJI_DIR) / name), emoji_size=size, opacity=opacity,
        x_pos=left, y_pos=top,
    )  # fmt: skip


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


def _do_screenshot(picture: Picture, _: Backgrounds, template: str, cropped: bool) -> Any:
    return augly.overlay_onto_screenshot(
        picture,
        template_filepath=str(Path(augly_utils.SCREENSHOT_TEMPLATES_DIR) / template),
        crop_src_to_fit=cropped,
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
    return Image.fromarray(backgrounds[min(len(backgrounds) - 1, int(share * len(backgrounds)))])


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
