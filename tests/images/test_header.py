"""The size and kind that a header gives, against what decoding gives."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from asl_fast.images import ImageError, decode, decode_as_needed, read_header

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8))


def encoded(kind, picture=PICTURE, **how):
    stream = io.BytesIO()
    picture.save(stream, kind, **how)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_the_size_is_that_of_the_decoded_picture(kind):
    header = read_header(encoded(kind))
    assert header.size == (50, 30)
    assert header.is_plain_jpeg == (kind == "JPEG")


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_size_is_upright(kind, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    data = encoded(kind, exif=exif)
    assert read_header(data).size == decode(data).shape[1::-1]


def test_only_jpegs_that_any_decoder_takes_alike_are_plain():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tmpX").replace(b"gXYZ", b"rXYZ").replace(b"tmpX", b"gXYZ")
    for name in ("ascii", "utf-16-be"):
        swapped = swapped.replace("sRGB".encode(name), "swap".encode(name))
    assert read_header(encoded("JPEG")).is_plain_jpeg
    assert read_header(encoded("JPEG", PICTURE.convert("L"))).is_plain_jpeg
    assert read_header(encoded("JPEG", icc_profile=srgb)).is_plain_jpeg
    assert read_header(encoded("JPEG", icc_profile=lab)).is_plain_jpeg  # does not fit, so it is not applied
    assert not read_header(encoded("JPEG", icc_profile=swapped)).is_plain_jpeg
    assert not read_header(encoded("JPEG", PICTURE.convert("CMYK"))).is_plain_jpeg
    assert not read_header(encoded("JPEG")[:-60]).is_plain_jpeg


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff\xd9", b"GIF89a", encoded("PNG")[:20]])
def test_a_broken_header_is_an_image_error(data):
    with pytest.raises(ImageError):
        read_header(data)


@pytest.mark.parametrize("hint", [10, 15, 300])
def test_decoding_with_the_header_at_hand_is_decoding(hint):
    data = encoded("JPEG", PICTURE.resize((500, 300)))
    header, pixels = decode_as_needed(data, lambda header: hint * header.size[0] // 500)
    assert header == read_header(data)
    np.testing.assert_array_equal(pixels, decode(data, edge_px_hint=hint))
    with pytest.raises(ImageError):
        decode_as_needed(data[:40], lambda header: hint)
