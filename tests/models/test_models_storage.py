"""Model folders: round trip, fingerprint, damage."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_descriptor import make_descriptor

from asl_fast.models import DescriptorConfig, load_descriptor, save_descriptor
from asl_fast.models.config import config_from_json


@pytest.mark.parametrize("fields", [{}, {"num_dims": 24}, {"backbone": "test_vit"}])
def test_a_saved_model_gives_the_same_rows(tmp_path, pixels, fields):
    module = make_descriptor(**fields)
    name = save_descriptor(tmp_path, module, module.config)
    loaded = load_descriptor(tmp_path)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(pixels), module(pixels), rtol=0, atol=0)
    assert (loaded.config, loaded.fingerprint) == (module.config, name)
    assert not loaded.module.training


def test_a_model_saved_over_another_is_the_new_one(tmp_path, tiny):
    save_descriptor(tmp_path, make_descriptor(num_dims=8), make_descriptor(num_dims=8).config)
    save_descriptor(tmp_path, tiny, tiny.config)
    assert load_descriptor(tmp_path).module.num_dims == 96
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_half_storage_halves_the_file_and_keeps_the_fingerprint_when_stored_whole_again(tmp_path, tiny):
    name = save_descriptor(tmp_path / "half", tiny, tiny.config, half=True)
    module = load_descriptor(tmp_path / "half").module
    assert {value.dtype for value in module.state_dict().values() if value.is_floating_point()} == {
        torch.float32
    }
    assert save_descriptor(tmp_path / "whole", module, tiny.config) == name
    sizes = [(tmp_path / kind / "model.safetensors").stat().st_size for kind in ("half", "whole")]
    assert sizes[0] < 0.6 * sizes[1]


def test_half_storage_keeps_values_that_half_cannot_hold(tmp_path, tiny):
    tiny.backbone.conv1[0].weight.data[0, 0, 0, 0] = 1e6
    save_descriptor(tmp_path, tiny, tiny.config, half=True)
    assert load_descriptor(tmp_path).module.backbone.conv1[0].weight[0, 0, 0, 0] == 1e6


def test_the_fingerprint_follows_what_shapes_rows_and_nothing_else(tmp_path, tiny):
    base = save_descriptor(tmp_path, tiny, tiny.config)
    fields = {"backbone": "test_resnet", "edge_px": 64}
    assert save_descriptor(tmp_path, tiny, DescriptorConfig(**fields, gem_p=2.0, note="x")) == base
    assert save_descriptor(tmp_path, tiny, DescriptorConfig(**{**fields, "edge_px": 96})) != base
    tiny.neck.running_var[0] += 1
    assert save_descriptor(tmp_path, tiny, tiny.config) != base


def test_the_fingerprint_is_a_known_value_on_every_machine(tmp_path):
    module = make_descriptor()
    for value in module.state_dict().values():
        value.fill_(0.5 if value.is_floating_point() else 0)
    assert save_descriptor(tmp_path, module, module.config) == "d5fec8c4b58f87f2"


def test_a_model_with_nan_is_not_saved(tmp_path, tiny):
    tiny.neck.running_mean[3] = float("nan")
    with pytest.raises(ValueError, match=r"neck.running_mean holds NaN"):
        save_descriptor(tmp_path, tiny, tiny.config)
    assert list(tmp_path.iterdir()) == []


def _complaint(folder) -> str:
    from asl_fast.errors import InputError

    with pytest.raises(InputError) as caught:
        load_descriptor(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_of_another_save_are_noticed(tmp_path, tiny):
    save_descriptor(tmp_path / "a", tiny, tiny.config)
    other = make_descriptor()
    other.neck.running_mean += 1
    save_descriptor(tmp_path / "b", other, other.config)
    (tmp_path / "b" / "model.safetensors").replace(tmp_path / "a" / "model.safetensors")
    assert "not the one that config.json was saved with" in _complaint(tmp_path / "a")


def test_truncated_weights_are_one_line(tmp_path, tiny):
    save_descriptor(tmp_path, tiny, tiny.config)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert "model.safetensors can't be read" in _complaint(tmp_path)


def test_missing_and_surplus_weights_are_named(tmp_path, tiny):
    save_descriptor(tmp_path, tiny, tiny.config)
    state = load_file(tmp_path / "model.safetensors")
    state["extra.weight"] = state.pop("neck.weight")
    save_file(state, tmp_path / "model.safetensors")
    config = json.loads((tmp_path / "config.json").read_text())
    del config["weights_sha256"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    complaint = _complaint(tmp_path)
    assert "lacks neck.weight" in complaint and "has extra.weight" in complaint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"edge_px": "64"}, '"edge_px" must be a whole number from 16 to 4096'),
        ({"edge_px": True}, '"edge_px" must be a whole number'),
        ({"gem_p": 0}, '"gem_p" must be a number above 0'),
        ({"std": [1, 1, 0]}, '"std" must be above 0'),
        ({"mean": [1, 1]}, '"mean" must be three numbers'),
        ({"backbone": ""}, '"backbone" must be a non-empty text'),
        ({"colour": 1}, "unknown keys ['colour']"),
        ({"version": 2}, "is of version 2"),
        ({"format": "x"}, 'has no "format"'),
        ({"backbone": "resnet5"}, "near it: resnet50"),
    ],
)
def test_each_fault_of_a_config_is_told(tmp_path, tiny, change, words):
    save_descriptor(tmp_path, tiny, tiny.config)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    assert words in _complaint(tmp_path)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_config_that_is_none_is_told(tmp_path, tiny, text):
    save_descriptor(tmp_path, tiny, tiny.config)
    (tmp_path / "config.json").write_bytes(text)
    assert "config.json" in _complaint(tmp_path)


def test_a_config_survives_its_json_form():
    config = DescriptorConfig(backbone="test_vit", num_dims=7, gem_p=2.5, note="é")
    assert config_from_json(config.to_json(weights_sha256="ab"), "x") == (config, "ab")


def test_an_empty_folder_says_what_a_model_folder_holds(tmp_path):
    assert "has no config.json" in _complaint(tmp_path)
