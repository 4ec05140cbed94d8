"""A gain changes how long a row is and nothing else."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from asl_fast.models import Descriptor, DescriptorConfig, load_descriptor, save_descriptor
from asl_fast.models.gain import Gain
from asl_fast.training.start import start_descriptor

TINY = DescriptorConfig(backbone="test_resnet", edge_px=32, gain_width=8)


def told(gain: Gain) -> Gain:
    torch.manual_seed(0)
    torch.nn.init.normal_(gain.out.weight)
    return gain


def test_it_does_nothing_at_the_start():
    row_BD = torch.randn(5, 16)
    assert torch.equal(Gain(16, 4)(row_BD), row_BD)


def test_directions_stay_and_lengths_change():
    row_BD = torch.randn(50, 16)
    longer_BD = told(Gain(16, 4))(row_BD)
    cosine_B = torch.nn.functional.cosine_similarity(row_BD, longer_BD)
    assert cosine_B.min() > 1 - 1e-6
    assert (longer_BD.norm(dim=1) / row_BD.norm(dim=1)).std() > 0.05


def test_it_depends_on_the_direction_alone():
    row_BD = torch.randn(5, 16)
    gain = told(Gain(16, 4))
    torch.testing.assert_close(gain(3 * row_BD), 3 * gain(row_BD))


def test_cosines_have_no_gradient_for_it():
    row_BD = torch.randn(5, 16)
    gain = told(Gain(16, 4))
    unit_BD = torch.nn.functional.normalize(gain(row_BD), dim=1)
    (unit_BD @ unit_BD.T).sum().backward()
    assert max(float(value.grad.abs().max()) for value in gain.parameters()) < 1e-4


def test_it_is_saved_with_the_model_and_named_by_its_fingerprint(tmp_path):
    model = Descriptor(TINY).eval()
    told(model.gain)
    save_descriptor(tmp_path / "gain", model, TINY)
    pixels = torch.randint(0, 256, (2, 3, 32, 32))
    loaded = load_descriptor(str(tmp_path / "gain"))
    torch.testing.assert_close(loaded.module(pixels), model(pixels))
    without = dataclasses.replace(TINY, gain_width=0)
    assert loaded.fingerprint != save_descriptor(tmp_path / "none", Descriptor(without), without)


def test_a_start_without_gain_gets_one_and_keeps_its_rows():
    without = dataclasses.replace(TINY, gain_width=0)
    start = Descriptor(without).eval()
    pixels = torch.randint(0, 256, (2, 3, 32, 32))
    torch.testing.assert_close(start_descriptor(start, TINY, "start").eval()(pixels), start(pixels))


def test_weights_of_another_network_are_not_taken_for_a_start():
    with pytest.raises(RuntimeError, match="size mismatch"):
        start_descriptor(Descriptor(dataclasses.replace(TINY, gain_width=4)), TINY, "start")
