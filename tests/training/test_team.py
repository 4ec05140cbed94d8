"""Several processes train what one does, resume exactly, and fail together."""

import json

import pytest
import torch
from safetensors.torch import load_file
from team_calls import normed, normed_rows, photos_read, said, trained, trained_on_other_photos

from asl_fast.errors import InputError
from asl_fast.losses import LossSettings
from asl_fast.training import PairSettings, Team
from tests.losses.rank_pool import RankPool

PLAIN = {
    "num_steps": 5, "num_identities": 7, "num_views": 3, "lr": 1e-3, "class_lr": 1e-3, "save_every": 2,
    "evaluate_every": 3, "frozen_statistics": False, "clip_norm": 1.0, "pairs": PairSettings(per_batch=2),
    "loss": LossSettings(scale=16.0),
}  # fmt: skip
FUSED = PLAIN | {
    "clip_norm": 0.0, "fused_class_step": True, "frozen_statistics": True, "frozen_share": 0.3,
    "loss": LossSettings(scale=16.0, triplet_weight=2.0),
}  # fmt: skip
LEFT = ("model/model.safetensors", "best/model.safetensors", "evaluation.json", "metrics.jsonl")


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    pool = RankPool(2, tmp_path_factory.mktemp("ranks"))
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def pairs(photo_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.csv"
    named = [f"{photo_folder}/photo{number:02d}.png" for number in range(20)]
    lines = [f"{a},{b},none" for a, b in zip(named[::2], named[1::2], strict=True)]
    path.write_text("\n".join(["file_a,file_b,direction", *lines]) + "\n")
    return str(path)


@pytest.mark.parametrize("told", [PLAIN, FUSED], ids=["plain", "fused"])
def test_two_processes_train_what_one_does(pool, told, photo_folder, start_model, pairs, tmp_path):
    told = told | {"start": str(start_model)}
    alone = trained(0, None, told, str(photo_folder), pairs, tmp_path / "one")
    first, second = pool.call(2, trained, told, str(photo_folder), pairs, str(tmp_path / "two"))
    assert first["before"] == second["before"] == alone["before"] and first["after"] == second["after"]
    rows = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    for one, two in zip(*rows, strict=True):
        for name in ("loss/total", "loss/metric", "loss/ratio", "gradient_norm"):
            # Adam divides by the gradient's size: what rounding moves in small ones grows with the steps
            close = (1e-5, 1e-3)[one["step"]] if one["step"] < 2 else 0.05
            assert two[name] == pytest.approx(one[name], rel=close), (one["step"], name)
    start, one, two = (
        weights(folder) for folder in (start_model, tmp_path / "one/model", tmp_path / "two/model")
    )
    assert (two - one).norm() < 0.2 * (one - start).norm()


def weights(folder):
    """All of a model as one row."""
    return torch.cat(
        [value.flatten() for _, value in sorted(load_file(folder / "model.safetensors").items())]
    )


def test_stopped_team_ends_with_the_same_bits(pool, photo_folder, start_model, pairs, tmp_path):
    told = PLAIN | {"start": str(start_model)}
    given = (told, str(photo_folder), pairs)
    pool.call(2, trained, *given, str(tmp_path / "calm"))
    assert pool.call(2, trained, *given, str(tmp_path / "stopped"), 3) == ["stopped"] * 2
    assert len(list((tmp_path / "stopped/checkpoint").glob("step-00000002*"))) == 3
    outcome, _ = pool.call(2, trained, *given, str(tmp_path / "stopped"))
    assert outcome["first_step"] == 2
    for name in LEFT:
        assert (tmp_path / "calm" / name).read_bytes() == (tmp_path / "stopped" / name).read_bytes(), name
    kept = [
        sorted(path.name for path in (tmp_path / name / "checkpoint").iterdir())
        for name in ("calm", "stopped")
    ]
    assert kept[0] == kept[1] and len(kept[0]) == 4


@pytest.mark.parametrize("told", [PLAIN, FUSED], ids=["plain", "fused"])
def test_one_process_goes_on_where_two_stopped_and_two_where_one_did(
    pool, told, photo_folder, start_model, pairs, tmp_path
):
    told = told | {"start": str(start_model)}
    given = (told, str(photo_folder), pairs)
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    pool.call(2, trained, *given, two, 4)
    trained(0, None, *given, one, 4)
    assert trained(0, None, *given, two)["first_step"] == 4
    outcome, _ = pool.call(2, trained, *given, one)
    assert outcome["first_step"] == 4
    ends = [weights(tmp_path / name / "model") for name in ("one", "two")]
    assert (ends[1] - ends[0]).norm() < 0.2 * (ends[0] - weights(start_model)).norm()
    starts = json.loads((tmp_path / "two/config.json").read_text())["starts"]
    assert [(start["from_step"], start["processes"]) for start in starts] == [(0, 2), (4, 1)]


def test_processes_with_other_options_refuse_to_train_together(
    pool, photo_folder, start_model, pairs, tmp_path
):
    told = PLAIN | {"start": str(start_model)}
    errors = pool.call(2, trained_on_other_photos, told, str(photo_folder), pairs, str(tmp_path / "one"))
    for rank, error in enumerate(errors):
        assert isinstance(error, InputError)
        assert f"process {1 - rank} has another lr than process {rank}" in str(error)
    assert not (tmp_path / "one").exists()


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    team = Team(rank=1, world_size=2, group=object(), local_rank=1, local_size=2)
    with pytest.raises(InputError, match="--device cuda: 2 processes on a machine with 1 GPUs; start one"):
        team.device("cuda")
    assert team.device("cpu") == "cpu" and Team().device("cuda") == "cuda"


def test_words_reach_all_processes_in_their_order(pool):
    expected = [{"rank": 0, "text": ""}, {"rank": 1, "text": "äää"}]
    assert pool.call(2, said) == [expected, expected]


def test_each_process_decodes_its_share_and_knows_of_all(pool, photo_folder, tmp_path):
    for path in photo_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "photo15.png").write_bytes(b"")
    one, two = pool.call(2, photos_read, str(tmp_path))
    assert (one[0], two[0]) == (10, 9) and one[1:] == two[1:]
    assert len(one[1]) == 19 and [name for name, _ in one[3]] == ["photo15"] and "photo15" not in one[2]


@pytest.mark.parametrize("num_rows_W", [(5, 5), (1, 8)])
def test_norms_of_all_processes_are_those_of_one_with_all_rows(pool, num_rows_W):
    result, row_gradient, gradients, statistics = normed_rows(slice(None), sum(num_rows_W))
    told = pool.call(2, normed, num_rows_W)
    close = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(torch.cat([one[0] for one in told]), result, **close)
    torch.testing.assert_close(torch.cat([one[1] for one in told]), row_gradient, **close)
    summed = [sum(parts) for parts in zip(*(one[2] for one in told), strict=True)]
    torch.testing.assert_close(summed, gradients, **close)
    for one in told:
        torch.testing.assert_close(one[3], statistics, **close)
