"""Every kind of file gives the right pixels or one ImageError with a short reason."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from picture_bytes import exif_with, photo, png, png_chunk, saved, swapped_profile
from PIL import Image, ImageOps

from asl_fast.images import ImageError, Resize, decode


def pixels(data: bytes) -> np.ndarray:
    found = decode(data)
    assert found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3 and found.flags.c_contiguous
    return found


def close(found: np.ndarray, wanted: np.ndarray | Image.Image, mean: float) -> bool:
    wanted = np.asarray(wanted)
    return found.shape == wanted.shape and bool(np.abs(found.astype(int) - wanted).mean() <= mean)


STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_every_exif_orientation_is_turned_upright(file_format: str, orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(photo()))))
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}.get(file_format, {})
    data = saved(stored, file_format, exif=exif_with(orientation), **options)
    assert close(pixels(data), photo(), 1.0 if file_format == "JPEG" else 0)


def test_scaled_jpeg_with_orientation_is_upright_too() -> None:
    stored = photo(400, 300).transpose(Image.Transpose.ROTATE_90)
    found = decode(saved(stored, "JPEG", quality=95, exif=exif_with(6)), edge_px_hint=50)
    assert found.shape == (150, 200, 3)
    assert close(found, photo(400, 300).resize((200, 150), Image.Resampling.BOX), 2.0)


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01"],
)
def test_broken_exif_leaves_the_pixels_as_they_are(exif: bytes) -> None:
    assert close(pixels(saved(photo(), "JPEG", quality=98, subsampling=0, exif=exif)), photo(), 1.0)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_impossible_orientation_is_as_if_absent(orientation: int) -> None:
    assert close(pixels(saved(photo(), "PNG", exif=exif_with(orientation))), photo(), 0)


@pytest.mark.parametrize(
    "file_format", ["PNG", "BMP", "PPM", "TIFF", "GIF", "WEBP", "JPEG2000", "AVIF", "MPO"]
)
def test_format_is_told_by_its_bytes(file_format: str) -> None:
    assert close(pixels(saved(photo(), file_format)), photo(), 0 if file_format in "PNG BMP PPM TIFF" else 8)


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_first_frame_of_an_animated_or_many_paged_file_counts(file_format: str) -> None:
    options = {"WEBP": {"lossless": True}}.get(file_format, {})
    other = Image.new("RGB", photo().size, (255, 0, 255))
    data = saved(photo(), file_format, save_all=True, append_images=[other, other], **options)
    assert close(pixels(data), photo(), 8)


def test_cmyk_jpeg_is_not_inverted() -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert close(pixels(saved(red, "JPEG", quality=95)), Image.new("RGB", (16, 16), (255, 0, 0)), 3)


def test_ycck_jpeg_is_not_inverted() -> None:
    # Adobe marker, transform 2: the decoder turns the first three channels from YCC to CMY. Grey 4-channel
    # data with centred colour differences reads the same as plain CMYK does, so the marker can be patched.
    grey = Image.new("CMYK", (16, 16), (200, 128, 128, 255))
    data = saved(grey, "JPEG", quality=95)
    marker = data.index(b"Adobe")
    patched = data[: marker + 11] + b"\x02" + data[marker + 12 :]
    with_ink = pixels(patched)
    assert with_ink.mean() < 5  # full black ink: were the fourth channel inverted, this would be light


@pytest.mark.parametrize("file_format", ["TIFF"])
def test_cmyk_tiff_keeps_its_colours(file_format: str) -> None:
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    assert close(pixels(saved(cyan, file_format)), Image.new("RGB", (8, 8), (0, 255, 255)), 0)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_not_clipped(file_format: str) -> None:
    deep = Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16))
    assert pixels(saved(deep, file_format))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_big_endian_16_bit_tiff_is_scaled_not_clipped() -> None:
    entries = [(256, 4), (257, 1), (258, 16), (259, 1), (262, 1), (273, 122), (277, 1), (278, 1), (279, 8)]
    directory = struct.pack(">H", len(entries)) + b"".join(
        struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in entries
    )
    data = (
        b"MM\0*" + struct.pack(">I", 8) + directory + b"\0\0\0\0" + struct.pack(">4H", 0, 257, 32896, 65535)
    )
    assert pixels(data)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_16_bit_rgb_png_is_scaled_not_clipped() -> None:
    data = png(2, 1, 16, 2, b"\0" + struct.pack(">6H", 0, 32896, 65535, 65535, 0, 257))
    assert pixels(data).tolist() == [[[0, 128, 255], [255, 0, 1]]]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
    ],
)
def test_float_tiff_is_brought_to_8_bits(values: list[float], wanted: list[int]) -> None:
    data = saved(Image.fromarray(np.array([values], np.float32)), "TIFF")
    assert pixels(data)[0, :, 0].tolist() == wanted


@pytest.mark.parametrize("value", [0x7FC00000, 0x7FA00000, 0x7F800000, 0x7F7FFFFF, 1])
def test_float_tiff_with_odd_values_is_decoded(value: int) -> None:
    """Quiet and signalling NaN, infinity, the largest and the smallest number."""
    data = saved(Image.fromarray(np.array([[1, 0, value]], np.uint32).view(np.float32)), "TIFF")
    assert pixels(data).shape == (1, 3, 3)


def test_32_bit_grey_is_stretched_from_low_to_high() -> None:
    data = saved(Image.fromarray(np.array([[-70000, 0, 70000]], np.int32)), "TIFF")
    assert pixels(data)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP", "GIF", "PPM"])
def test_1_bit_is_black_and_white(file_format: str) -> None:
    data = saved(Image.fromarray(np.array([[True, False]])), file_format)
    assert pixels(data).tolist() == [[[255] * 3, [0] * 3]]


def test_transparency_is_laid_over_white() -> None:
    rgba = Image.fromarray(np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], np.uint8))
    wanted = [[[255, 0, 0], [255, 255, 255], [204, 204, 204]]]
    for file_format, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
        assert pixels(saved(rgba, file_format, **options)).tolist() == wanted


def test_grey_with_alpha_is_laid_over_white() -> None:
    la = Image.fromarray(np.array([[[100, 255], [100, 0]]], np.uint8), "LA")
    assert pixels(saved(la, "PNG")).tolist() == [[[100] * 3, [255] * 3]]


@pytest.mark.parametrize(("alphas", "wanted"), [(b"\0", [255] * 3), (b"\xff", [10, 20, 30])])
def test_palette_with_transparency_is_laid_over_white(alphas: bytes, wanted: list[int]) -> None:
    chunks = png_chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60])), png_chunk(b"tRNS", alphas)
    assert pixels(png(2, 1, 8, 3, b"\0\0\1", *chunks)).tolist() == [[wanted, [40, 50, 60]]]


def test_transparent_grey_of_a_16_bit_png_turns_white() -> None:
    data = png(2, 1, 16, 0, b"\0" + struct.pack(">2H", 257, 514), png_chunk(b"tRNS", struct.pack(">H", 257)))
    assert pixels(data)[0, :, 0].tolist() == [255, 2]


def test_transparent_colour_of_a_16_bit_png_turns_white() -> None:
    key = struct.pack(">3H", 0x0A07, 0, 0)
    data = png(2, 1, 16, 2, b"\0" + key + struct.pack(">3H", 0x1407, 0, 0), png_chunk(b"tRNS", key))
    assert pixels(data).tolist() == [[[255] * 3, [20, 0, 0]]]


def test_colour_profile_is_carried_over_to_srgb() -> None:
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    assert close(
        pixels(saved(red, "PNG", icc_profile=swapped_profile())), Image.new("RGB", (4, 4), (0, 255, 0)), 2
    )


@pytest.mark.parametrize("profile", [b"not a profile", b"\0" * 128, swapped_profile()[:200]])
def test_broken_colour_profile_is_as_if_absent(profile: bytes) -> None:
    assert close(pixels(saved(photo(), "PNG", icc_profile=profile)), photo(), 0)


def test_profile_of_another_colour_space_is_as_if_absent() -> None:
    grey = photo().convert("L")
    assert close(pixels(saved(grey, "PNG", icc_profile=swapped_profile())), grey.convert("RGB"), 0)


@pytest.fixture(scope="module")
def hundred_megapixels() -> bytes:
    return saved(Image.new("L", (10000, 10000), 90), "JPEG")


def test_100_megapixel_jpeg_is_decoded_small_where_the_target_is_small(hundred_megapixels: bytes) -> None:
    began = time.perf_counter()
    small = decode(hundred_megapixels, edge_px_hint=224)
    assert small.shape == (1250, 1250, 3)
    assert Resize(edge_px=224)(small).reshape(-1, 3).tolist() == [[90] * 3] * (224 * 224)
    assert time.perf_counter() - began < 10


def test_limit_in_pixels_counts_before_the_scaling(hundred_megapixels: bytes) -> None:
    with pytest.raises(ImageError, match=r"10000 x 10000 = 100 megapixels, above the limit of 50"):
        decode(hundred_megapixels, edge_px_hint=224, max_pixels=50_000_000)


@pytest.mark.parametrize(
    ("edge_px", "size"),
    [(4, (100, 125)), (50, (100, 125)), (51, (200, 250)), (200, (400, 500)), (201, (800, 1000))],
)
def test_scaled_jpeg_stays_twice_the_edge_and_looks_the_same(edge_px: int, size: tuple[int, int]) -> None:
    data = saved(photo(1000, 800), "JPEG", quality=95)
    small = decode(data, edge_px_hint=edge_px)
    assert small.shape[:2] == size
    resize = Resize(edge_px=edge_px)
    assert close(resize(small), resize(decode(data)), 1.0)


def test_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(ImageError, match=r"60000 x 60000 = 3600 megapixels, above the limit of 300"):
        decode(png(60000, 60000, 8, 2, b"\0" * 1000))


def test_png_that_claims_more_than_its_bytes_can_hold_is_refused() -> None:
    with pytest.raises(ImageError, match="can't hold"):
        decode(png(16000, 16000, 8, 2, b"\0" * 1000))


def test_picture_that_does_not_fit_the_memory_is_refused() -> None:
    """In a process of its own, whose memory is limited for real."""
    program = (
        "import os, resource\nfrom picture_bytes import png\nfrom asl_fast.images import ImageError, decode\n"
        "data = png(16000, 16000, 8, 2, os.urandom(100_000))\n"
        "resource.setrlimit(resource.RLIMIT_AS, (800 << 20, 800 << 20))\n"
        "try:\n    decode(data)\nexcept ImageError as error:\n    print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    assert ran.stdout == "PNG asks for more memory than there is\n"


def test_text_chunk_that_unpacks_to_megabytes_is_refused() -> None:
    packed = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * (8 << 20)))
    with pytest.raises(ImageError, match="too large"):
        decode(png(1, 1, 8, 0, b"\0\0", packed))


def test_jpeg_with_thousands_of_scans_is_refused() -> None:
    data = saved(photo(), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match="scans"):
        decode(data[:-2] + data[scan:-2] * 600 + data[-2:])


@pytest.mark.parametrize(
    "file_format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF"]
)
@pytest.mark.parametrize("share", [0.1, 0.6])
def test_truncated_file_is_refused(file_format: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(5).integers(0, 256, (40, 60, 3), np.uint8))
    data = saved(noise, file_format)
    with pytest.raises(ImageError, match=r"(?i)truncated|broken"):
        decode(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", r"empty file \(0 bytes\)"),
        (b"just some text\n" * 20, "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (b"%PDF-1.7\n", "not an image"),
        (b"\xff\xd8\xff", "truncated JPEG|broken JPEG"),
        (b"P", "not an image"),
    ],
)
def test_reason_says_what_is_wrong(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason) as caught:
        decode(data)
    assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)


def test_odd_tag_neither_warns_nor_costs_the_picture(recwarn: pytest.WarningsRecorder) -> None:
    data = bytearray(saved(photo(), "TIFF"))
    directory = struct.unpack_from("<I", data, 4)[0]
    tags = {struct.unpack_from("<H", data, at)[0]: at for at in range(directory + 2, len(data) - 11, 12)}
    data[tags[257] + 2 : tags[257] + 12] = struct.pack("<HIHH", 3, 2, 40, 9)  # two heights, where one is due
    with pytest.warns(UserWarning, match="too many entries"):
        Image.open(io.BytesIO(data))
    recwarn.clear()
    before = list(warnings.filters)
    assert close(pixels(bytes(data)), photo(), 0)
    assert not recwarn.list and warnings.filters == before


def test_damaged_tiff_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(saved(photo(), "TIFF", compression="tiff_lzw"))
    data[20:60] = b"\xff" * 40
    with pytest.raises(ImageError, match="TIFF"):
        decode(bytes(data))
    assert capfd.readouterr().err == ""


SEEDS = [
    saved(photo(), "JPEG", exif=exif_with(6), icc_profile=swapped_profile()),
    saved(photo(), "JPEG", progressive=True),
    saved(photo(), "PNG", exif=exif_with(5)),
    saved(photo().convert("P"), "PNG", transparency=3),
    saved(photo(), "GIF"),
    saved(photo(), "WEBP", exif=exif_with(8)),
    saved(photo(), "TIFF", compression="tiff_lzw"),
    saved(photo().convert("CMYK"), "TIFF"),
    saved(photo(), "BMP"),
    saved(photo(), "JPEG2000"),
    saved(photo(), "AVIF"),
]


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_damaged_bytes_raise_nothing_but_image_errors(seed: int, capfd: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(seed)
    whole = SEEDS[seed]
    reasons: list[str] = []
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 2, 8))):
            data[chance.randrange(chance.choice((len(data), min(len(data), 150))))] = chance.randrange(256)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        try:
            found = decode(bytes(data), edge_px_hint=chance.choice((None, 8)), max_pixels=1_000_000)
        except ImageError as error:
            reasons.append(str(error))
        else:
            assert Resize(edge_px=16)(found).shape == (16, 16, 3)
    assert reasons and all(reason.isprintable() for reason in reasons)
    assert capfd.readouterr().err == ""


def by_pillow(data: bytes) -> np.ndarray | None:
    """The reading of Pillow alone; None where it refuses."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            image.load()
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, struct.error):
        return None


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"subsampling": 0},
        {"subsampling": 1},
        {"restart_marker_rows": 1},
        {"exif": exif_with(8)},
    ],
)
def test_whole_jpegs_have_the_pixels_of_pillow(mode: str, options: dict[str, object]) -> None:
    noisy = np.random.default_rng(2).integers(0, 256, (9, 13, 3), np.uint8)
    picture = Image.fromarray(noisy).resize((131, 97), Image.Resampling.BICUBIC).convert(mode)
    data = saved(picture, "JPEG", quality=85, **options)
    difference = np.abs(pixels(data).astype(int) - by_pillow(data))
    assert difference.max() <= 3 and difference.mean() <= 0.05  # two builds of libjpeg may round differently


@pytest.mark.parametrize("progressive", [False, True])
def test_damaged_jpegs_are_refused_or_read_just_as_pillow_does(progressive: bool) -> None:
    whole = saved(photo(120, 80), "JPEG", quality=90, progressive=progressive)
    chance = random.Random(progressive)
    refused = 0
    for _ in range(250):
        data = bytearray(whole)
        if chance.random() < 0.5:
            del data[chance.randrange(20, len(data)) :]
        else:
            data[chance.randrange(20, len(data))] = chance.randrange(256)
        wanted = by_pillow(bytes(data))
        try:
            found = decode(bytes(data))
        except ImageError:
            refused += 1
            assert wanted is None
        else:
            assert wanted is not None and close(found, wanted, 0.1)
    assert refused > 50


@pytest.mark.parametrize("missing", [1, 2, 3, 50])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("edge_px", [None, 20])
def test_a_jpeg_that_lacks_its_last_bytes_is_refused(
    missing: int, progressive: bool, edge_px: int | None
) -> None:
    data = saved(photo(120, 80), "JPEG", quality=90, progressive=progressive)
    with pytest.raises(ImageError, match="truncated JPEG"):
        decode(data[:-missing], edge_px_hint=edge_px)
