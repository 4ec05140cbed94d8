"""The photos that are measured on: the user's, or made here, 500 x 375 pixels, of qualities 75 to 95."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from asl_fast.edits import Pixels
from asl_fast.images import find_images
from benchmarks.views.cases import PHOTO_SIZE

ROOT = Path(__file__).parents[2]
_QUALITIES = (75, 80, 85, 90, 95)
_ACROSS = 2  # the example photos are about half as wide as a photo here


def write_photos(folder: Path, number: int) -> list[Path]:
    """Four example photos side by side each, so that no pixel is enlarged; files that are there are kept."""
    examples = sorted((ROOT / "examples" / "references").glob("*.jpg"))
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    width, height = PHOTO_SIZE[0] // _ACROSS, -(-PHOTO_SIZE[1] // _ACROSS)
    paths = []
    for count in range(number):
        chosen = rng.choice(len(examples), _ACROSS * _ACROSS, replace=False)
        paths.append(folder / f"{count:05d}.jpg")
        if paths[-1].exists():
            continue
        photo = Image.new("RGB", PHOTO_SIZE)
        for place, example in enumerate(chosen):
            with Image.open(examples[example]) as image:
                part = ImageOps.fit(image.convert("RGB"), (width, height))
            photo.paste(part, (place % _ACROSS * width, place // _ACROSS * height))
        packed = io.BytesIO()
        photo.save(packed, "JPEG", quality=_QUALITIES[count % len(_QUALITIES)])
        paths[-1].write_bytes(packed.getvalue())
    return paths


def photo_files(folders: Sequence[Path], number: int) -> list[Path]:
    """The first `number` JPEG files under the folders, in the order of their names."""
    found = [
        Path(file.path)
        for folder in folders
        for file in find_images(str(folder))
        if file.path.lower().endswith((".jpg", ".jpeg"))
    ]
    return found[:number]


def pictures(paths: Sequence[Path], size: tuple[int, int]) -> list[Pixels]:
    """Decoded and fitted into (width, height), as (H, W, 3)."""
    made = []
    for path in paths:
        with Image.open(path) as image:
            made.append(np.asarray(ImageOps.fit(image.convert("RGB"), size)))
    return made
