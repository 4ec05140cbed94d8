"""Names and paths -> models: the shipped one, timm and the hub (from a local cache), TorchScript files."""

from __future__ import annotations

import shutil
import warnings

import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import save_file

from asl_fast.errors import InputError
from asl_fast.models import (
    BACKGROUND,
    SHIPPED,
    find_background,
    has_unit_rows,
    load_descriptor,
    save_descriptor,
)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub's own cache folder, to be filled by a test; no network is asked."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    def put(hub_id: str):
        place = tmp_path / "hub" / f"models--{hub_id.replace('/', '--')}"
        (place / "refs").mkdir(parents=True)
        (place / "refs" / "main").write_text("a" * 40)
        snapshot = place / "snapshots" / ("a" * 40)
        snapshot.mkdir(parents=True)
        return snapshot

    return put


@pytest.mark.parametrize(
    ("name", "says"), [("default", "trained by asl_fast"), ("imagenet", "not trained for copy detection")]
)
def test_a_shipped_model_says_what_it_was_trained_for(name, says):
    loaded = load_descriptor(name)
    assert loaded.config.backbone == "tf_efficientnet_lite0"
    assert says in loaded.config.note
    assert says in (SHIPPED[name] / "README.md").read_text()
    assert "Apache License" in (SHIPPED[name] / "LICENSE").read_text()
    assert (SHIPPED[name] / "model.safetensors").stat().st_size < 8e6


def test_timm_weights_come_through_the_hub_into_the_backbone(hub, pixels):
    torch.manual_seed(5)
    source = timm.create_model("test_resnet")
    save_file(source.state_dict(), hub("timm/test_resnet.r160_in1k") / "model.safetensors")
    loaded = load_descriptor("timm:test_resnet")
    torch.testing.assert_close(loaded.module.backbone.state_dict()["conv1.0.weight"], source.conv1[0].weight)
    assert loaded.config.edge_px == 160 and loaded.module(pixels).shape == (3, 96)
    assert loaded.fingerprint == load_descriptor("timm:test_resnet").fingerprint


@pytest.mark.parametrize("name", ["hf-hub:someone/copies", "someone/copies"])
def test_a_hub_name_gives_the_folder_that_was_saved(hub, tmp_path, tiny, name):
    saved = save_descriptor(tmp_path / "model", tiny, tiny.config)
    shutil.copytree(tmp_path / "model", hub("someone/copies"), dirs_exist_ok=True)
    assert load_descriptor(name).fingerprint == saved


@pytest.mark.parametrize("name", ["hf-hub:someone/copies", "someone/copies"])
def test_a_background_comes_with_a_hub_name_as_with_a_folder(hub, tmp_path, name):
    snapshot = hub("someone/copies")
    assert find_background(name) is find_background(tmp_path) is find_background("nowhere.pt") is None
    for folder in (snapshot, tmp_path):
        (folder / BACKGROUND).write_bytes(b"rows")
        assert find_background(name if folder == snapshot else tmp_path) == folder / BACKGROUND
    with pytest.raises(InputError, match="no/body is not in its local cache"):
        find_background("hf-hub:no/body")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm:test_vit", "hub can't be reached and timm/test_vit"),
        ("hf-hub:no/body", "hub can't be reached and no/body is not in its local cache"),
        ("hf-hub:a/b/c", "is no hub name; write OWNER/NAME"),
        ("timm:resnet5", "near it: resnet50"),
        ("timm:test_mambaout", "timm has no weights of it"),
        ("resnet50", "for timm's weights say timm:resnet50"),
        ("./nowhere", "no such file or folder"),
        ("nowhere.pt", "no such file or folder"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_a_name_that_leads_nowhere_is_one_line(name, words):
    with pytest.raises(InputError) as caught:
        load_descriptor(name)
    text = str(caught.value)
    assert words in text and "\n" not in text and text.startswith(f"--model {name}")


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks what happens where there is no GPU")
def test_cuda_without_a_gpu_is_one_line():
    with pytest.raises(InputError, match=r"--device cuda: .*use --device cpu"):
        load_descriptor(device="cuda")


class Sscd(torch.nn.Module):
    """SSCD's interface: ImageNet-normalised pixels of any size in, one L2-normalised row out."""

    def __init__(self, unit: bool) -> None:
        super().__init__()
        self.conv, self.unit = torch.nn.Conv2d(3, 16, 8, stride=8), unit

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        rows = torch.relu(self.conv(pixels)).pow(3).mean(dim=[2, 3]).pow(1.0 / 3.0)
        return torch.nn.functional.normalize(rows) if self.unit else rows


def save_script(module: torch.nn.Module, path) -> None:
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # TorchScript is leaving torch
        torch.jit.save(torch.jit.script(module), str(path))


@pytest.mark.parametrize("name", ["sscd_disc_mixup.torchscript.pt", "other.pt"])
def test_a_torchscript_file_runs_on_imagenet_normalised_pixels(tmp_path, pixels, name):
    torch.manual_seed(0)
    module = Sscd(unit=True).eval()
    save_script(module, tmp_path / name)
    loaded = load_descriptor(tmp_path / name)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        expected = module((pixels.float() / 255 - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1))
        torch.testing.assert_close(loaded.module(pixels), expected)
    assert has_unit_rows(loaded.module, 64)
    assert (loaded.config.edge_px, loaded.config.resize_mode) == (320, "square")


def test_norms_that_tell_something_are_not_called_unit_norms(tmp_path, tiny):
    save_script(Sscd(unit=False).eval(), tmp_path / "raw.pt")
    assert not has_unit_rows(load_descriptor(tmp_path / "raw.pt").module, 64)
    assert not has_unit_rows(tiny, 64)


def test_a_pickle_named_pt_is_refused_without_being_run(tmp_path):
    torch.save({"weights": torch.ones(2)}, tmp_path / "weights.pt")
    with pytest.raises(InputError, match="is no TorchScript file"):
        load_descriptor(tmp_path / "weights.pt")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not a zip", b"\x80\x04N."])
def test_a_broken_torchscript_file_is_one_line(tmp_path, data):
    (tmp_path / "broken.pt").write_bytes(data)
    with pytest.raises(InputError, match="is no TorchScript file") as caught:
        load_descriptor(tmp_path / "broken.pt")
    assert "\n" not in str(caught.value)


def test_a_torchscript_file_of_another_kind_is_told(tmp_path):
    save_script(torch.nn.Linear(4, 2), tmp_path / "linear.pt")
    with pytest.raises(InputError, match="can't take pictures"):
        load_descriptor(tmp_path / "linear.pt")
