"""Make the photos of examples/ from a folder of photos with a manifest (file, source, licence, licence_kind).

    python scripts/make_examples.py --data PHOTOS --out examples

Writes references/ and queries/ (edited copies, pictures whose *crop* is the reference, look-alikes that
are no copies, strangers), expected.csv (what each query is), truth.csv (copies only, for `evaluate`) and
CREDITS.csv. Only photos whose licence_kind is `open` are taken. The same photos in, the same files out.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps


def crop(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Cut a box given in shares of the picture's width and height."""
    width, height = image.size
    return image.crop((int(left * width), int(top * height), int(right * width), int(bottom * height)))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def caption(image: Image.Image, text: str) -> Image.Image:
    """A white bar with text above the picture, as memes have it."""
    width, height = image.size
    bar = height // 5
    page = Image.new("RGB", (width, height + bar), "white")
    page.paste(image, (0, bar))
    ImageDraw.Draw(page).text((width / 2, bar / 2), text, fill="black", anchor="mm", font=font(bar * 0.45))
    return page


def stamp(image: Image.Image, text: str) -> Image.Image:
    width, height = image.size
    image = image.copy()
    draw = ImageDraw.Draw(image)
    for row in (0.25, 0.55, 0.85):
        draw.text((width / 2, row * height), text, fill="white", stroke_fill="black", stroke_width=1,
                  anchor="mm", font=font(height * 0.13))  # fmt: skip
    return image


def screenshot(image: Image.Image) -> Image.Image:
    """The picture inside a phone's gallery: dark page, bars, round buttons."""
    width, height = image.size
    page = Image.new("RGB", (width + 24, height + 84), (18, 18, 22))
    page.paste(image, (12, 40))
    draw = ImageDraw.Draw(page)
    draw.text((12, 10), "9:41", fill="white", font=font(14))
    draw.text((width - 30, 10), "78 %", fill="white", font=font(14))
    for button in range(4):
        x = 20 + button * (width - 16) // 3
        draw.ellipse((x - 6, height + 54, x + 8, height + 68), outline="white", width=2)
    return page


def font(size_px: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=max(8, int(size_px)))


def on(background: str, scale: float) -> Callable[[Image.Image, Path], Image.Image]:
    """Paste the picture onto another photo, at `scale` of its width."""

    def paste(image: Image.Image, photos: Path) -> Image.Image:
        page = Image.open(photos / "img" / f"{background}.jpg").convert("RGB").resize((320, 240))
        inset = image.resize((int(320 * scale), int(320 * scale * image.height / image.width)))
        page.paste(inset, ((320 - inset.width) // 2, (240 - inset.height) // 2))
        return page

    return paste


BACKGROUND = "boof_19edeb2b48"
Edit = Callable[[Image.Image, Path], Image.Image]
COPIES: list[tuple[str, str, Edit]] = [
    ("crop-half", "boof_21e19216dc", lambda im, _: crop(im, 0.3, 0.1, 1.0, 0.8)),
    ("crop-quarter", "boof_0f6d1d780e", lambda im, _: crop(im, 0.1, 0.3, 0.6, 0.8)),
    ("blur", "caltech101_523c37b346", lambda im, _: im.filter(ImageFilter.GaussianBlur(3))),
    (
        "colour",
        "raccoon_9cb7071953",
        lambda im, _: ImageEnhance.Color(ImageEnhance.Brightness(im).enhance(1.35)).enhance(0.35),
    ),
    ("grayscale", "cats_81a62933cc", lambda im, _: ImageOps.grayscale(im).convert("RGB")),
    ("mirrored", "caltech101_467a9ca980", lambda im, _: ImageOps.mirror(im)),
    (
        "rotated",
        "mdx_062a898564",
        lambda im, _: im.rotate(15, resample=Image.Resampling.BICUBIC, expand=True),
    ),
    ("meme", "cats_1aec1603e6", lambda im, _: caption(im, "caught red-handed")),
    ("stamped", "clothing_8aa6469ea4", lambda im, _: stamp(im, "SAMPLE")),
    ("screenshot", "mdx_69e923ceab", lambda im, _: screenshot(im)),
    ("pasted", "raccoon_76834e0589", on(BACKGROUND, 0.6)),
    ("jpeg-5", "grocery_f8937782ba", lambda im, _: jpeg(im, 5)),
    ("thumbnail", "caltech101_a04efeb933", lambda im, _: im.resize((64, int(64 * im.height / im.width)))),
    (
        "crop-mirror-colour",
        "boof_ddf43d76e6",
        lambda im, _: ImageEnhance.Contrast(ImageOps.mirror(crop(im, 0.05, 0.2, 0.8, 0.95))).enhance(1.4),
    ),
]
# the reference is a crop, the query is the full picture: alike, but the query is no copy of the reference
REVERSED: list[tuple[str, tuple[float, float, float, float]]] = [
    ("boof_d6139b2874", (0.35, 0.1, 1.0, 0.8)),
    ("caltech101_b6af648969", (0.15, 0.0, 0.85, 0.6)),
    ("cats_bec1996a19", (0.2, 0.25, 0.9, 0.95)),
    ("mdx_76cd7378c1", (0.05, 0.1, 0.7, 0.8)),
    ("raccoon_d9aa0db917", (0.1, 0.05, 0.8, 0.75)),
    ("mdx_a65cc63a34", (0.0, 0.2, 0.75, 0.9)),
]
LOOK_ALIKES = [  # (query, reference): another shot of the scene, the product, the clip
    ("boof_535ab0ef1b", "boof_145f003022"),
    ("sam2_b1915bd5b7", "sam2_35650e1f1d"),
    ("grocery_a5fe1d4446", "grocery_ec7a8f7dac"),
    ("grocery_dae7cbc0c9", "grocery_423b09c649"),
    ("clothing_93786d9c5d", "clothing_2a5e272608"),
    ("boof_e3398b969e", "boof_ab694ef5c9"),
]
STRANGERS = [
    "caltech101_ab7fdfbea4", "cats_0381ef2a5a", "mdx_bd1d1b3130",
    "boof_f1937fd7b2", "caltech101_f5358e3759", "clothing_62ff677fc6",
]  # fmt: skip
DISTRACTORS = [
    "boof_5986553767", "boof_bd6e2bd010", "boof_48d6c98a42", "boof_b5b733a4a3", "boof_9ac5340d8e",
    "caltech101_f2c84b3230", "caltech101_21781ab75b", "caltech101_5e57b5000a", "caltech101_41f0979d99",
    "caltech101_925db134db", "cats_978144a397", "cats_3d158d8f08", "cats_83d8d67f2e", "cats_9afcb71365",
    "clothing_2817e6f8ca", "clothing_e29c0301ab", "grocery_f5a4057763", "grocery_f711bc368d",
    "grocery_9783a9951b", "grocery_a9b318f36c", "mdx_a618fae157", "mdx_79ab3c3cca",
    "mdx_cb091b4f3b", "raccoon_c579aab1b0", "raccoon_d039d3630d", "raccoon_9e208af2a8", "raccoon_bc9e554d1b",
]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv and img/")
    parser.add_argument("--out", type=Path, default=Path("examples"))
    args = parser.parse_args()
    maker = Maker(args.data, args.out)
    for place, (edit, stem, apply) in enumerate(COPIES, start=1):
        maker.save("references", stem, maker.photo(stem), stem)
        maker.query(f"copy{place:02d}_{edit}", apply(maker.photo(stem), args.data), stem, "copy", stem)
        if edit == "pasted":
            maker.credit(f"queries/copy{place:02d}_{edit}.jpg", BACKGROUND)
    for place, (stem, box) in enumerate(REVERSED, start=1):
        maker.save("references", f"{stem}_part", crop(maker.photo(stem), *box), stem)
        maker.query(f"whole{place:02d}", maker.photo(stem), f"{stem}_part", "reversed", stem)
    for place, (stem, alike) in enumerate(LOOK_ALIKES, start=1):
        maker.save("references", alike, maker.photo(alike), alike)
        maker.query(f"alike{place:02d}", maker.photo(stem), alike, "look-alike", stem)
    for place, stem in enumerate(STRANGERS, start=1):
        maker.query(f"stranger{place:02d}", maker.photo(stem), "", "stranger", stem)
    for stem in DISTRACTORS:
        maker.save("references", stem, maker.photo(stem), stem)
    maker.write_tables()
    return 0


class Maker:
    """Saves pictures and remembers what each one is and whose it is."""

    def __init__(self, data: Path, out: Path) -> None:
        self.data, self.out = data, out
        with open(data / "manifest.csv", newline="", encoding="utf-8") as handle:
            self.manifest = {Path(row["file"]).stem: row for row in csv.DictReader(handle)}
        self.expected: list[tuple[str, str, str]] = []
        self.credits: list[tuple[str, str, str]] = []

    def photo(self, stem: str) -> Image.Image:
        row = self.manifest[stem]
        if row["licence_kind"] != "open":
            raise SystemExit(f"{stem}: licence_kind is {row['licence_kind']!r}, only open photos may ship")
        return Image.open(self.data / row["file"]).convert("RGB")

    def save(self, folder: str, name: str, image: Image.Image, stem: str) -> None:
        target = self.out / folder / f"{name}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(target, "JPEG", quality=88)
        self.credit(f"{folder}/{name}.jpg", stem)

    def credit(self, file: str, stem: str) -> None:
        row = self.manifest[stem]
        self.credits.append((file, row["source"], row["licence"]))

    def query(self, name: str, image: Image.Image, reference: str, kind: str, stem: str) -> None:
        self.save("queries", name, image, stem)
        self.expected.append((name, reference, kind))

    def write_tables(self) -> None:
        truth = [(name, reference if kind == "copy" else "") for name, reference, kind in self.expected]
        for file, header, rows in (
            ("expected.csv", ("query_id", "reference_id", "kind"), self.expected),
            ("truth.csv", ("query_id", "reference_id"), truth),
            ("CREDITS.csv", ("file", "source", "licence"), self.credits),
        ):
            with open(self.out / file, "w", newline="", encoding="utf-8") as handle:
                writer = csv.writer(handle, lineterminator="\n")
                writer.writerow(header)
                writer.writerows(rows)


if __name__ == "__main__":
    raise SystemExit(main())
