"""Batches keep their order and their borders, report what failed, and stop when told to."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_bytes import exif_with, photo, saved
from PIL import Image

from asl_fast.images import (
    Batch,
    Framing,
    ImageError,
    ImageFile,
    Resize,
    as_pixels,
    find_images,
    load_batches,
)  # fmt: skip

RESIZE = Resize(edge_px=8)
FRAMING = Framing(resizes=(RESIZE,))


def numbered(folder: Path, count: int, broken: Sequence[int] = ()) -> list[ImageFile]:
    """Files whose grey value is their number; the broken ones hold text."""
    for number in range(count):
        grey = saved(Image.new("L", (20 + number, 20), number), "PNG")
        (folder / f"{number:03}.png").write_bytes(b"text" if number in broken else grey)
    return find_images(folder)


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("asl_fast-images")]


@pytest.mark.parametrize("num_threads", [1, 4])
@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_batches_keep_order_and_borders_whatever_fails(
    tmp_path: Path, num_threads: int, batch_size: int
) -> None:
    broken = (0, 6, 7, 13, 14, 15, 16, 17, 18, 19, 20, 29)
    files = numbered(tmp_path, 30, broken)
    seen: list[int] = []
    for number, batch in enumerate(
        load_batches(files, FRAMING, batch_size=batch_size, num_threads=num_threads)
    ):
        assert batch.first == number * batch_size
        covered = files[batch.first : batch.first + batch_size]
        assert sorted([f.id for f in batch.file_B] + [f.id for f in batch.failures]) == [
            f.id for f in covered
        ]
        assert all(len(frames) == 1 and frames[0].shape == (8, 8, 3) for frames in batch.frames_B)
        assert [frames[0][0, 0, 0] for frames in batch.frames_B] == [int(file.id) for file in batch.file_B]
        seen += [int(failure.id) for failure in batch.failures]
    assert tuple(seen) == broken


def test_started_in_the_middle_the_same_batches_come(tmp_path: Path) -> None:
    files = numbered(tmp_path, 10, (5,))
    whole = list(load_batches(files, FRAMING, batch_size=4, num_threads=2))
    rest = list(load_batches(files, FRAMING, batch_size=4, num_threads=2, start=4))
    assert [batch.first for batch in rest] == [4, 8]
    for ours, theirs in zip(rest, whole[1:], strict=True):
        assert ours.file_B == theirs.file_B and np.array_equal(ours.frames_B, theirs.frames_B)
    assert list(load_batches(files, FRAMING, batch_size=4, num_threads=2, start=10)) == []


def test_number_of_threads_does_not_change_a_pixel(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (12, 300, 400, 3), np.uint8)
    for number, pixels in enumerate(noise):
        (tmp_path / f"{number}.jpg").write_bytes(saved(Image.fromarray(pixels), "JPEG", exif=exif_with(6)))
    files = find_images(tmp_path)
    one, four = (
        next(load_batches(files, Framing(resizes=(Resize(edge_px=32),)), batch_size=12, num_threads=threads))
        for threads in (1, 4)
    )
    assert len(one.file_B) == 12 and np.array_equal(one.frames_B, four.frames_B)


def test_failure_rows_hold_printable_text(tmp_path: Path) -> None:
    (tmp_path / "a\nb\udcff.jpg").write_bytes(b"")
    batch = next(load_batches(find_images(tmp_path), FRAMING, batch_size=1, num_threads=1))
    (failure,) = batch.failures
    assert failure.id == r"a\x0ab\xff" and failure.reason == "empty file (0 bytes)"
    assert failure.path.endswith(r"/a\x0ab\xff.jpg") and failure.path.encode()


class Watched(list[ImageFile]):
    """A list that remembers the last file asked for by number."""

    last = -1

    def __getitem__(self, key):  # type: ignore[no-untyped-def]
        if isinstance(key, int):
            self.last = max(self.last, key)
        return super().__getitem__(key)


def test_no_more_than_one_batch_is_read_ahead(tmp_path: Path) -> None:
    files = Watched(numbered(tmp_path, 40))
    batches = load_batches(files, FRAMING, batch_size=4, num_threads=2)
    for number in range(3):
        next(batches)
        assert files.last == 4 * (number + 2) - 1
    batches.close()  # type: ignore[attr-defined]


def test_closing_early_stops_the_threads(tmp_path: Path) -> None:
    batches = load_batches(numbered(tmp_path, 40), FRAMING, batch_size=4, num_threads=3)
    next(batches)
    assert our_threads()
    batches.close()  # type: ignore[attr-defined]
    assert not our_threads()


class Faulty(Resize):
    def __call__(self, pixels_HWC: np.ndarray) -> np.ndarray:
        raise KeyError("a fault of ours", pixels_HWC.shape)


def test_fault_of_ours_is_not_taken_for_a_bad_file(tmp_path: Path) -> None:
    batches = load_batches(
        numbered(tmp_path, 4), Framing(resizes=(Faulty(edge_px=8),)), batch_size=2, num_threads=2
    )
    with pytest.raises(KeyError, match="a fault of ours"):
        next(batches)
    assert not our_threads()


@pytest.mark.parametrize(
    ("batch_size", "num_threads", "start"), [(0, 1, 0), (2, 0, 0), (2, 1, 1), (2, 1, 6), (2, 1, -2)]
)
def test_impossible_arguments_are_refused_at_once(
    tmp_path: Path, batch_size: int, num_threads: int, start: int
) -> None:
    with pytest.raises(ValueError, match="load_batches"):
        load_batches(
            numbered(tmp_path, 4), FRAMING, batch_size=batch_size, num_threads=num_threads, start=start
        )


def test_batch_checks_its_own_lengths() -> None:
    with pytest.raises(ValueError, match="has 0 files but 1 pictures"):
        Batch(first=0, file_B=[], frames_B=[[np.zeros((8, 8, 3), np.uint8)]], failures=[])


@pytest.mark.parametrize("mode", ["square", "short-center"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (8, 8), (3, 1000)])
def test_flat_pictures_of_any_shape_stay_flat(mode: str, size: tuple[int, int]) -> None:
    pixels = Resize(edge_px=8, mode=mode)(Image.new("RGB", size, (9, 99, 199)))
    assert pixels.dtype == np.uint8 and pixels.reshape(-1, 3).tolist() == [[9, 99, 199]] * 64


def test_square_keeps_the_borders_and_short_center_cuts_them() -> None:
    picture = Image.new("RGB", (300, 100), (255, 0, 0))
    picture.paste((0, 0, 255), (100, 0, 200, 100))
    square = Resize(edge_px=30, mode="square")(picture)
    center = Resize(edge_px=30, mode="short-center")(picture)
    assert square[15, 2].tolist() == [255, 0, 0] and square[15, 15].tolist() == [0, 0, 255]
    assert center.reshape(-1, 3).tolist() == [[0, 0, 255]] * 900


def test_fine_stripes_average_out() -> None:
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = Resize(edge_px=32)(Image.fromarray(stripes)).astype(int)
    assert abs(pixels - 127).max() <= 4


def test_right_size_is_left_alone() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    assert np.array_equal(RESIZE(Image.fromarray(noise)), noise)


@pytest.mark.parametrize(("edge_px", "mode"), [(0, "square"), (9000, "square"), (8, "crop")])
def test_impossible_resize_is_refused(edge_px: int, mode: str) -> None:
    with pytest.raises(ValueError, match="resize: "):
        Resize(edge_px=edge_px, mode=mode)


def test_a_picture_gives_the_same_pixels_however_it_is_handed_over(tmp_path: Path) -> None:
    rotated = photo().transpose(Image.Transpose.ROTATE_90)
    path = tmp_path / "a.png"
    path.write_bytes(saved(rotated, "PNG", exif=exif_with(6)))
    array = np.array(photo())
    wanted = RESIZE(photo())
    with Image.open(path) as opened:
        for image in (
            path,
            str(path),
            path.read_bytes(),
            opened,
            array,
            torch.from_numpy(array).permute(2, 0, 1),
        ):
            assert np.array_equal(as_pixels(image, RESIZE), wanted)


def test_grey_and_alpha_arrays_are_taken() -> None:
    grey = np.full((5, 6), 77, np.uint8)
    for image in (grey, grey[:, :, None], torch.from_numpy(grey)[None], torch.from_numpy(grey)):
        assert as_pixels(image, RESIZE).reshape(-1, 3).tolist() == [[77] * 3] * 64
    clear = np.zeros((5, 6, 4), np.uint8)
    assert as_pixels(clear, RESIZE).min() == 255


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((4, 4, 3), np.float32), "got float32; scale to 0..255"),
        (torch.zeros(3, 4, 4), "got float32; scale to 0..255"),
        (np.zeros((4, 4, 2), np.uint8), r"got shape \(4, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), r"got shape \(0, 4, 3\)"),
        (torch.zeros((2, 3, 4, 4), dtype=torch.uint8), r"got shape \(2, 3, 4, 4\)"),
        (7, "got int"),
    ],
)
def test_other_arrays_are_refused_with_the_way_out(image: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        as_pixels(image, RESIZE)


def test_path_or_bytes_that_are_no_image_say_so(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not an image"):
        as_pixels(b"text", RESIZE)
    with pytest.raises(FileNotFoundError):
        as_pixels(tmp_path / "gone.jpg", RESIZE)


def test_picture_that_cannot_be_loaded_is_an_image_error(tmp_path: Path) -> None:
    data = saved(photo(200, 200), "PNG")
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with Image.open(tmp_path / "a.png") as opened, pytest.raises(ImageError, match="truncated"):
        as_pixels(opened, RESIZE)
