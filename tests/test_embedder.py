"""Pictures in, raw rows out; a killed run goes on and gives the same bytes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from asl_fast.embedder import Embedder, NothingEmbedded, embed_source, load_model
from asl_fast.embeddings import read_embeddings
from asl_fast.errors import InputError
from asl_fast.images import find_images
from asl_fast.models import Descriptor, DescriptorConfig, load_descriptor, save_descriptor
from asl_fast.records import norms


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    """A saved model: a tiny timm backbone with random weights."""
    torch.manual_seed(0)
    config = DescriptorConfig(backbone="test_resnet", edge_px=64)
    folder = tmp_path_factory.mktemp("model")
    save_descriptor(folder, Descriptor(config), config)
    return folder


@pytest.fixture(scope="module")
def model(tiny_folder):
    return load_model(tiny_folder)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """13 readable pictures and two that are none."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for number in range(13):
        coarse = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((80 + number, 60)).save(folder / f"p{number:02}.png")
    (folder / "p03x.jpg").write_bytes(b"")
    (folder / "p07x.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    return folder


def test_every_way_to_hand_in_a_picture_gives_the_same_row(model, pictures):
    path = pictures / "p00.png"
    image = Image.open(path).convert("RGB")
    array = np.asarray(image)
    ways = [path, str(path), path.read_bytes(), image, array, torch.from_numpy(array.copy()).permute(2, 0, 1)]
    row_ND = model.embed(ways)
    assert row_ND.shape == (6, 96) and row_ND.dtype == np.float32
    np.testing.assert_allclose(row_ND, np.broadcast_to(row_ND[0], row_ND.shape), rtol=1e-4, atol=1e-5)


def test_the_fused_copy_gives_the_rows_of_the_model(model, tiny_folder, pictures):
    from asl_fast.images import as_pixels

    paths = sorted(pictures.glob("p0?.png"))
    pixels = np.stack([as_pixels(path, model.framing.resizes[0]) for path in paths])
    with torch.inference_mode():
        expected = load_descriptor(tiny_folder).module(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    np.testing.assert_allclose(model.embed(paths), expected, rtol=1e-3, atol=1e-4)


def test_an_embedder_leaves_the_module_it_was_given_as_it_was(tiny_folder):
    loaded = load_descriptor(tiny_folder)
    loaded.module.train()
    before = {name: value.clone() for name, value in loaded.module.state_dict().items()}
    Embedder(loaded)
    assert loaded.module.training
    assert all(torch.equal(before[name], value) for name, value in loaded.module.state_dict().items())


def test_norms_hardly_depend_on_the_batch_size():
    model = load_model()
    generator = np.random.default_rng(1)
    images = [
        np.asarray(Image.fromarray(generator.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((96, 96)))
        for _ in range(8)
    ]
    alone, together = (norms(model.embed(images, batch_size=size)) for size in (1, 8))
    np.testing.assert_allclose(alone, together, rtol=1e-4)


def test_no_pictures_give_no_rows(model):
    assert model.embed([]).shape == (0, 96)


@pytest.mark.parametrize("images", ["photo.jpg", b"bytes", 3])
def test_one_picture_that_is_no_list_is_told(model, images):
    with pytest.raises(ValueError, match="must be a list of pictures"):
        model.embed(images)


def test_a_bad_picture_of_a_list_is_named_by_its_place(model, pictures):
    with pytest.raises(ValueError, match="image 1 of the list"):
        model.embed([pictures / "p00.png", pictures / "p03x.jpg"])


def test_ids_never_shift_when_pictures_fail(model, pictures, tmp_path):
    files = find_images(pictures)
    embeddings, failures = model.embed_files(files, batch_size=4)
    assert [failure.id for failure in failures] == ["p03x", "p07x"]
    assert list(embeddings.ids) == [f"p{number:02}" for number in range(13)]
    alone = model.embed([pictures / "p11.png"])
    np.testing.assert_allclose(embeddings.row_ND[11], alone[0], rtol=1e-3, atol=1e-5)
    assert embeddings.path_N[11] == str(pictures / "p11.png")
    written, _ = model.embed_files(files, tmp_path / "r.npy", batch_size=4)
    np.testing.assert_array_equal(written.row_ND, embeddings.row_ND)
    found = read_embeddings(tmp_path / "r.npy")
    np.testing.assert_array_equal(found.row_ND, embeddings.row_ND)
    assert found.fingerprint == model.fingerprint and list(found.ids) == list(embeddings.ids)
    assert not (tmp_path / "r.npy.partial").exists()


class NotANumber(torch.nn.Module):
    """Gives NaN for the brightest picture and zeros for the darkest."""

    def forward(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
        mean_B = pixels_BCHW.float().mean(dim=(1, 2, 3))
        rows = mean_B[:, None].repeat(1, 4)
        rows[mean_B > 250] = torch.nan
        rows[mean_B < 5] = 0
        return rows


def test_a_row_without_direction_is_a_failure_of_its_picture(tmp_path):
    for name, grey in (("bright", 255), ("dark", 0), ("grey", 100)):
        Image.new("RGB", (32, 32), (grey,) * 3).save(tmp_path / f"{name}.png")
    from asl_fast.models import Loaded

    model = Embedder(Loaded(NotANumber(), DescriptorConfig(backbone="x", edge_px=32), "f"))
    embeddings, failures = model.embed_files(find_images(tmp_path))
    assert list(embeddings.ids) == ["grey"]
    assert {failure.id for failure in failures} == {"bright", "dark"}
    assert "no usable row" in failures[0].reason


def test_a_model_with_unit_rows_is_announced(tmp_path, capsys):
    class Unit(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.normalize(pixels.mean(dim=[2, 3]) + 1.0)

    import warnings

    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # TorchScript is leaving torch
        torch.jit.save(torch.jit.script(Unit()), str(tmp_path / "sscd.pt"))
    load_model(tmp_path / "sscd.pt")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "the ratio says nothing" in said and "--norms" in said


def test_all_failed_leaves_only_the_list(model, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(b"no")
    with pytest.raises(NothingEmbedded, match="none of 1 images could be embedded; the first: a:"):
        embed_source(tmp_path / "in", model, out=tmp_path / "out" / "r.npy", progress=False)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["failures.csv"]


def test_a_source_in_memory_gives_rows_and_its_failures(model, pictures, tmp_path):
    done = embed_source(pictures, model, failures_path=tmp_path / "failures.csv", progress=False)
    assert len(done.embeddings) == 13 and len(done.failures) == 2
    assert (tmp_path / "failures.csv").read_text().count("\n") == 3


def test_a_run_with_other_pictures_starts_anew_and_says_so(model, pictures, tmp_path, capsys):
    from asl_fast.embeddings import PartialRows

    files = find_images(pictures)
    with PartialRows(tmp_path / "r.npy", model._plan(files, 4), 96) as partial:
        partial.append(np.ones((4, 96), np.float32), [])
    model.embed_files(files[:5], tmp_path / "r.npy", batch_size=4)
    assert "starting anew" in capsys.readouterr().err
    assert len(read_embeddings(tmp_path / "r.npy")) == 4


def test_kept_batches_are_not_embedded_again(model, pictures, tmp_path):
    from asl_fast.embeddings import PartialRows

    files = find_images(pictures)[:3]
    marked = np.full((2, 96), 7, np.float32)
    with PartialRows(tmp_path / "r.npy", model._plan(files, 2), 96) as partial:
        partial.append(marked, [])
    embeddings, _ = model.embed_files(files, tmp_path / "r.npy", batch_size=2)
    np.testing.assert_array_equal(embeddings.row_ND[:2], marked)


def test_an_output_that_cannot_be_written_is_told_before_any_work(model, tmp_path):
    (tmp_path / "file").write_text("")
    for out, words in (
        (tmp_path / "r.csv", "ends in '.csv'"),
        (tmp_path / "file" / "r.npy", "can't be written to"),
    ):
        with pytest.raises(InputError, match=words):
            embed_source("./nowhere", model, out=out)


KILLED_ANYWHERE = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from asl_fast.embedder import load_model
from asl_fast.embeddings import PartialRows
from asl_fast.images import find_images

model, files, base = load_model(sys.argv[1]), find_images(sys.argv[2]), Path(sys.argv[3])
left = [-1]
POINTS = ("", "open", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.mkdir")

def step(event="", arguments=()):
    # opening, renaming, removing or cutting off a file of the output's folder is a point to be killed at
    if event in POINTS and left[0] >= 0:
        if not event or str(base) in str(arguments[0]):
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

sys.addaudithook(step)
append = PartialRows.append
def appended(self, rows, failures):
    append(self, rows, failures)
    step()
PartialRows.append = appended

def run(folder, kill_at):
    child = os.fork()
    if child == 0:
        left[0] = kill_at
        model.embed_files(files, folder / ("r" + sys.argv[4]), batch_size=4, num_threads=1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def content(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}

whole = base / "whole"
assert run(whole, -1) == 0
wanted, killed, point = content(whole), 0, 0
while True:
    folder = base / f"at {point}"
    status = run(folder, point)
    if status == 0:
        break
    assert status == -signal.SIGKILL, status
    assert run(folder, -1) == 0
    assert content(folder) == wanted, (point, sorted(content(folder)), sorted(wanted))
    killed, point = killed + 1, point + int(sys.argv[5])
print(killed)
"""


@pytest.mark.parametrize(("suffix", "stride", "least"), [(".npy", 2, 12), (".h5", 5, 4)])
def test_a_run_killed_anywhere_goes_on_to_the_same_bytes(
    tiny_folder, pictures, tmp_path, suffix, stride, least
):
    ended = subprocess.run(
        [sys.executable, "-c", KILLED_ANYWHERE, tiny_folder, pictures, tmp_path, suffix, str(stride)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) >= least


def test_views_are_rows_of_their_pictures(tiny_folder, pictures, tmp_path):
    plain, viewed = load_model(tiny_folder), load_model(tiny_folder, views="turns")
    files = find_images(pictures)
    whole, _ = plain.embed_files(files)
    found, failures = viewed.embed_files(files, tmp_path / "v.npy", batch_size=4)
    assert [failure.id for failure in failures] == ["p03x", "p07x"]
    assert list(found.ids[:5]) == ["p00#whole", "p00#turn-90", "p00#turn-180", "p00#turn-270", "p01#whole"]
    assert len(found) == 4 * 13 and found.fingerprint == whole.fingerprint
    assert found.path_N[3] == found.path_N[0] == str(pictures / "p00.png")
    np.testing.assert_allclose(found.row_ND[::4], whole.row_ND, rtol=1e-3, atol=1e-4)
    turned = np.rot90(np.asarray(Image.open(pictures / "p00.png")))
    np.testing.assert_allclose(found.row_ND[1], plain.embed([turned])[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(viewed.embed([pictures / "p00.png"]), found.row_ND[:4])


def test_pictures_of_different_sizes_are_embedded_together_or_alone_alike(tiny_folder, pictures, tmp_path):
    generator = np.random.default_rng(0)
    for number, size in enumerate([(40, 90), (90, 40), (64, 64), (40, 90), (7, 200)] * 3):
        coarse = Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(tmp_path / f"s{number:02}.png")
    model = load_model(tiny_folder, edges_px=[48], resize_mode="short")
    files = find_images(tmp_path)
    one, many = (model.embed_files(files, batch_size=size, num_threads=n)[0] for size, n in ((1, 1), (64, 2)))
    np.testing.assert_allclose(norms(one.row_ND), norms(many.row_ND), rtol=1e-3)
    cosine_N = (one.row_ND * many.row_ND).sum(axis=1) / norms(one.row_ND) / norms(many.row_ND)
    assert cosine_N.min() > 1 - 1e-5


def test_several_edges_are_joined_into_one_row(tiny_folder, pictures):
    from asl_fast.models import joined_scales

    files = find_images(pictures)
    apart = [load_model(tiny_folder, edges_px=[edge]).embed_files(files)[0].row_ND for edge in (48, 80)]
    together = load_model(tiny_folder, edges_px=[48, 80]).embed_files(files)[0].row_ND
    np.testing.assert_allclose(together, joined_scales(np.stack(apart, axis=1)), rtol=1e-3, atol=1e-4)


def test_rows_at_another_size_have_another_fingerprint(tiny_folder, model):
    assert load_model(tiny_folder, edges_px=[64], resize_mode="square").fingerprint == model.fingerprint
    others = [{"edges_px": [48]}, {"edges_px": [48, 64]}, {"resize_mode": "short"}]
    assert len({load_model(tiny_folder, **other).fingerprint for other in others} - {model.fingerprint}) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"views": "all"}, "views must be one of whole, turns"),
        ({"edges_px": [0]}, "edge_px must be between 1 and 8192, got 0"),
        ({"edges_px": [64, 64]}, "sizes must be distinct"),
        ({"resize_mode": "long"}, "mode must be one of"),
    ],
)
def test_impossible_views_and_sizes_are_one_line(tiny_folder, options, said):
    with pytest.raises(InputError, match=said) as told:
        load_model(tiny_folder, **options)
    assert "\n" not in str(told.value)


def test_a_network_of_one_size_says_so():
    class Fixed(torch.nn.Module):
        def forward(self, pixels_BCHW: torch.Tensor) -> torch.Tensor:
            assert pixels_BCHW.shape[2:] == (32, 32), "input must be 32 x 32"
            return pixels_BCHW.float().mean(dim=(2, 3)) + 1

    from asl_fast.images import Framing, Resize
    from asl_fast.models import Loaded

    loaded = Loaded(Fixed(), DescriptorConfig(backbone="x", edge_px=32), "f")
    with pytest.raises(InputError, match="can't take pictures of 48 x 48 px"):
        Embedder(loaded, framing=Framing(resizes=(Resize(edge_px=48),)))


def test_a_picture_of_which_one_view_has_no_row_has_none(tmp_path):
    """Black below: the lower quarters of the second picture are all zeros."""
    from asl_fast.images import VIEW_SETS, Framing, Resize
    from asl_fast.models import Loaded

    grey = np.full((32, 32, 3), 100, np.uint8)
    half = grey.copy()
    half[16:] = 0
    for name, pixels in (("grey", grey), ("half", half)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    framing = Framing(resizes=(Resize(edge_px=8),), views=VIEW_SETS["quarters"])
    model = Embedder(Loaded(NotANumber(), DescriptorConfig(backbone="x", edge_px=32), "f"), framing=framing)
    embeddings, failures = model.embed_files(find_images(tmp_path))
    assert len(embeddings) == 5 and {identity.split("#")[0] for identity in embeddings.ids} == {"grey"}
    assert [failure.id for failure in failures] == ["half"]
