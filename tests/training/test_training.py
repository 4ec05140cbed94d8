"""The loop on generated pictures: it learns, it resumes exactly, and it says what is wrong."""

import dataclasses
import json
import math

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from training_batches import batch_of

from asl_fast.errors import InputError
from asl_fast.images import ImageFile, Resize, find_images
from asl_fast.losses import AslLoss, ClassAdam, LossSettings
from asl_fast.models import Descriptor, DescriptorConfig, load_descriptor, save_descriptor
from asl_fast.recipes import RECIPES
from asl_fast.training import PairSettings, TrainSettings, train, write_run_plot
from asl_fast.training.best import Best
from asl_fast.training.checkpoint import load_checkpoint, save_checkpoint
from asl_fast.training.evaluation import FoldReport, evaluate_fold, make_fold_set
from asl_fast.training.fold import groups_of, hold_back
from asl_fast.training.photos import read_photos
from asl_fast.training.plot import draw_run, smoothed
from asl_fast.training.start import new_loss, start_classes
from asl_fast.training.trainer import Trainer, lr_share

CPU = torch.device("cpu")
QUIET = {"num_threads": 1, "progress": False}
REPORT = FoldReport(
    uap=0.5, uap_filtered=0.4, copies_below=1, reversed_above=1, crops_below=1, num_queries=4,
    num_references=4,
)  # fmt: skip


@pytest.fixture
def settings(start_model):
    return TrainSettings(
        start=str(start_model),
        num_steps=40,
        num_identities=8,
        num_views=4,
        lr=1e-2,
        class_lr=3e-3,
        clip_norm=10.0,
        frozen_statistics=False,
        least_area=0.1,
        edit_share=0.2,
        save_every=20,
        evaluate_every=20,
        loss=LossSettings(metric_weight=0.03, scale=16.0),
    )


@pytest.fixture
def photos(photo_folder):
    return read_photos(find_images(photo_folder), 64, num_threads=2, progress=False)[0]


def learn(photo_folder, out, settings, seed=0):
    return train(
        find_images(photo_folder),
        out,
        settings,
        seed=seed,
        folder=photo_folder,
        num_threads=1,
        num_workers=0,
        progress=False,
    )


def new_trainer(settings, num_classes=20, class_step=None):
    torch.manual_seed(0)
    start = load_descriptor(settings.start).module
    return Trainer(
        start, AslLoss(num_classes, start.num_dims, settings.loss, class_step=class_step), settings, 0, CPU
    )


def test_both_losses_fall_and_the_run_folder_is_complete(photo_folder, settings, tmp_path):
    out = tmp_path / "one"
    outcome = learn(photo_folder, out, settings)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(40))
    for part, share in (("loss/metric", 0.95), ("loss/ratio", 0.8)):
        early, late = (np.mean([row[part] for row in some]) for some in (rows[:8], rows[-8:]))
        assert late < share * early, part
    assert sorted(path.name for path in out.iterdir()) == [
        "best", "checkpoint", "config.json", "evaluation.json", "held_back.txt", "metrics.jsonl",
        "model", "tensorboard",
    ]  # fmt: skip
    assert [row["step"] for row in rows if "eval/uap" in row] == [19, 39]
    assert (outcome.num_trained, outcome.num_held_back, outcome.failures) == (16, 4, [])
    report = json.loads((out / "evaluation.json").read_text())
    assert report["after"] == outcome.after.to_dict() and 0 < outcome.after.uap <= 1
    assert list((out / "tensorboard").glob("events*"))


def test_mixed_precision_changes_a_step_by_rounding_only(photos, settings, monkeypatch):
    batch = batch_of(photos, settings)
    found = []
    for fast in (True, False):
        monkeypatch.setattr("asl_fast.training.trainer.has_bf16", lambda device, fast=fast: fast)
        trainer = new_trainer(dataclasses.replace(settings, bf16=True, frozen_statistics=True))
        scalars = trainer.train_step(batch)
        moved = trainer.descriptor.state_dict()
        assert all(value.dtype in (torch.float32, torch.int64) for value in moved.values())
        found.append((scalars["loss/total"], scalars["gradient_norm"]))
    assert found[0] != found[1]
    np.testing.assert_allclose(*found, rtol=0.05)


def test_best_is_the_average_of_the_step_that_did_best(photo_folder, settings, tmp_path):
    settings = dataclasses.replace(settings, num_steps=12, evaluate_every=1, ema_decay=0.5)
    outcome = learn(photo_folder, tmp_path, settings)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    score = [row["eval/uap_filtered"] for row in rows]
    assert outcome.best_step == 1 + score.index(max(score)) and len(set(score)) > 1
    report = json.loads((tmp_path / "best/evaluation.json").read_text())
    assert (report["step"], report["uap_filtered"]) == (outcome.best_step, max(score))
    best, photos = load_descriptor(tmp_path / "best"), read_photos(find_images(photo_folder), 64, **QUIET)[0]
    assert f"after step {outcome.best_step}" in best.config.note
    _, held = hold_back(groups_of(photos.files, photo_folder), settings.held_back_share, 0)
    again = evaluate_fold(best.module, Resize(edge_px=32), make_fold_set(photos.subset(held), 0), CPU)
    assert again.to_dict() == {name: value for name, value in report.items() if name != "step"}


def test_best_is_left_alone_by_one_that_is_no_better(tmp_path, settings):
    start = load_descriptor(settings.start)
    best = Best(tmp_path, start.config)
    report = REPORT
    for step, score, kept in ((10, 0.4, 10), (20, 0.4, 10), (30, 0.3, 10), (40, 0.5, 40)):
        best.offer(start.module, step, dataclasses.replace(report, uap_filtered=score))
        assert best.step == kept == Best(tmp_path, start.config).step


def test_config_tells_the_versions_of_each_start_that_had_others(photo_folder, settings, tmp_path):
    settings = dataclasses.replace(settings, num_steps=3, save_every=1, evaluate_every=0)
    for _ in range(2):
        learn(photo_folder, tmp_path, settings)
    path = tmp_path / "config.json"
    told = json.loads(path.read_text())
    assert len(told["starts"]) == 1 and told["seed"] == 0
    first = dict(told["starts"][0])
    assert (first["from_step"], first["torch"], first["timm"]) == (0, torch.__version__, timm.__version__)
    told["starts"][0]["torch"] = "1.0"
    path.write_text(json.dumps(told))
    learn(photo_folder, tmp_path, settings)
    again = json.loads(path.read_text())["starts"]
    assert [start["torch"] for start in again] == ["1.0", first["torch"]] and again[1]["from_step"] == 3


def test_plot_shows_losses_and_scores_of_every_step(tmp_path):
    rows = [{"step": step, "loss/metric": 9.0 - step, "loss/ratio": 1.0} for step in range(8)]
    rows[7] |= {"eval/uap": 0.75, "eval/uap_filtered": 0.5}
    before = dataclasses.replace(REPORT, uap=0.6)
    metric, ratio, score = draw_run(rows, before).axes
    for axes, values in ((metric, [9.0 - step for step in range(8)]), (ratio, [1.0] * 8)):
        assert axes.lines[0].get_ydata().tolist() == values and axes.lines[0].get_xdata()[0] == 1
    assert [line.get_ydata().tolist() for line in score.lines] == [[0.6, 0.75], [0.4, 0.5]]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_run_plot(tmp_path / "run.png", tmp_path / "metrics.jsonl", before)
    with Image.open(tmp_path / "run.png") as picture:
        assert picture.size == (1080, 1080)
    assert smoothed(np.arange(5.0)).tolist() == [0.5, 1, 2, 3, 3.5]


def test_saved_model_is_the_average_not_the_last_step(photo_folder, settings, tmp_path):
    out = tmp_path / "one"
    learn(photo_folder, out, dataclasses.replace(settings, num_steps=6))
    state, step = load_checkpoint(out / "checkpoint")
    saved = load_descriptor(out / "model").module.state_dict()
    assert step == 6
    assert torch.equal(saved["neck.weight"], state["ema.neck.weight"])
    assert not torch.equal(saved["neck.weight"], state["descriptor.neck.weight"])
    assert not torch.equal(saved["neck.weight"], torch.ones(32))  # as it was at the start
    assert torch.equal(saved["neck.bias"], torch.zeros(32))


def test_second_call_of_a_finished_run_changes_nothing(photo_folder, settings, tmp_path):
    settings = dataclasses.replace(settings, num_steps=6)
    first = learn(photo_folder, tmp_path / "one", settings)
    weights = (tmp_path / "one/model/model.safetensors").read_bytes()
    again = learn(photo_folder, tmp_path / "one", settings)
    assert again.first_step == 6 and again.after == first.after and again.before == first.before
    assert (tmp_path / "one/model/model.safetensors").read_bytes() == weights


def test_other_settings_in_the_same_folder_are_refused_by_name(photo_folder, settings, tmp_path):
    settings = dataclasses.replace(settings, num_steps=3)
    learn(photo_folder, tmp_path / "one", settings)
    with pytest.raises(InputError, match=r"holds a run with lr = 0\.01, this one has 0\.5; .*another --out"):
        learn(photo_folder, tmp_path / "one", dataclasses.replace(settings, lr=0.5))
    with pytest.raises(InputError, match="holds a run with seed = 0, this one has 1"):
        learn(photo_folder, tmp_path / "one", settings, seed=1)


def test_run_of_a_version_that_knew_fewer_settings_goes_on(photo_folder, settings, tmp_path):
    """A setting that its config.json lacks is taken to have its default; one that is not known is let be."""
    settings = dataclasses.replace(settings, num_steps=3)
    learn(photo_folder, tmp_path / "one", settings)
    path = tmp_path / "one/config.json"
    told = json.loads(path.read_text())
    for name in ("ordered_by", "pairs", "views_from", "num_pairs", "pairs_sha256"):
        del told[name]
    del told["loss"]["gap_weight"]
    path.write_text(json.dumps(told | {"colour_of_the_sky": "blue"}))
    assert learn(photo_folder, tmp_path / "one", settings).first_step == 3
    path.write_text(json.dumps(told))
    changed = dataclasses.replace(settings, loss=dataclasses.replace(settings.loss, gap_weight=2.0))
    with pytest.raises(InputError, match=r"holds a run with loss\.gap_weight = 1\.0, this one has 2\.0"):
        learn(photo_folder, tmp_path / "one", changed)


def test_row_that_is_not_a_number_stops_before_it_is_learned(settings, photos):
    trainer = new_trainer(settings)
    batch = batch_of(photos, settings)
    with torch.no_grad():
        trainer.descriptor.neck.weight[0] = math.nan
    before = trainer.loss.weight_CD.clone()
    with pytest.raises(ValueError, match=r"longest row is nan at step 0, lr.*lower lr"):
        trainer.train_step(batch)
    assert torch.equal(before, trainer.loss.weight_CD) and trainer.step == 0


def test_restored_trainer_takes_the_same_next_step(settings, photos, tmp_path):
    one, other = new_trainer(settings), new_trainer(settings)
    for step in range(3):
        one.train_step(batch_of(photos, settings, step))
    save_checkpoint(tmp_path, one.state(), one.step)
    other.load_state(*load_checkpoint(tmp_path))
    for trainer in (one, other):
        trainer.train_step(batch_of(photos, settings, 3))
    for name, value in one.state().items():
        assert torch.equal(value, other.state()[name]), name


def test_class_weights_stepped_at_once_are_those_of_the_optimizer(settings, photos, tmp_path):
    """Also over a break in the middle."""
    settings = dataclasses.replace(settings, clip_norm=0.0)
    plain = new_trainer(settings)
    fused, resumed = (new_trainer(settings, class_step=ClassAdam(0.0)) for _ in range(2))
    for step in range(4):
        if step == 2:
            save_checkpoint(tmp_path, fused.state(), fused.step)
            resumed.load_state(*load_checkpoint(tmp_path))
            fused = resumed
        for trainer in (plain, fused):
            trainer.train_step(batch_of(photos, settings, step))
    assert fused.loss.weight_CD.grad is None and fused.loss.class_step.num_steps == 4
    for part in ("descriptor", "loss"):
        told = getattr(fused, part).state_dict()
        for name, value in getattr(plain, part).state_dict().items():
            assert torch.equal(value, told[name]), name


def test_fused_class_step_is_made_by_the_recipe(settings):
    settings = dataclasses.replace(settings, clip_norm=0.0, fused_class_step=True, optimizer="adam")
    step = new_loss(20, 8, settings).class_step
    assert isinstance(step, ClassAdam) and not step.decoupled


def test_class_of_several_photos_starts_at_the_mean_of_their_directions(photos, settings):
    start = load_descriptor(settings.start).module
    alone, together = new_loss(20, 32, settings), new_loss(19, 32, settings)
    start_classes(alone, start, photos, np.arange(20), Resize(edge_px=32), CPU)
    start_classes(together, start, photos, np.array([0, *range(19)]), Resize(edge_px=32), CPU)
    row = alone.weight_CD.detach()
    torch.testing.assert_close(row.norm(dim=1), torch.ones(20))
    torch.testing.assert_close(together.weight_CD[0], torch.nn.functional.normalize(row[0] + row[1], dim=0))
    torch.testing.assert_close(together.weight_CD[1:], row[2:])


def test_only_the_newest_checkpoint_is_kept(tmp_path):
    for step in (5, 10):
        save_checkpoint(tmp_path, {"w": torch.full((2,), float(step))}, step)
    state, step = load_checkpoint(tmp_path)
    assert step == 10 and state["w"].tolist() == [10, 10]
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_unreadable_checkpoint_is_told_with_the_way_out(tmp_path):
    save_checkpoint(tmp_path, {"w": torch.ones(2)}, 5)
    (tmp_path / "step-00000005.safetensors").write_bytes(b"short")
    with pytest.raises(InputError, match=r"can't be read .* remove that folder to start anew"):
        load_checkpoint(tmp_path)


def test_frozen_tensors_and_statistics_keep_their_values(settings, photos):
    trainer = new_trainer(dataclasses.replace(settings, frozen_share=0.5, frozen_statistics=True))
    before = {name: value.clone() for name, value in trainer.descriptor.state_dict().items()}
    trainer.train_step(batch_of(photos, settings))
    after = trainer.descriptor.state_dict()
    names = [name for name, _ in trainer.descriptor.backbone.named_parameters()]
    for name in names[: round(0.5 * len(names))]:
        assert torch.equal(before[f"backbone.{name}"], after[f"backbone.{name}"]), name
    assert not torch.equal(before[f"backbone.{names[-2]}"], after[f"backbone.{names[-2]}"])
    assert all(torch.equal(before[name], after[name]) for name in before if "running" in name)
    assert not torch.equal(before["neck.weight"], after["neck.weight"])


def test_statistics_follow_the_batches_when_they_are_not_frozen(settings, photos):
    trainer = new_trainer(settings)
    before = trainer.descriptor.neck.running_mean.clone()
    trainer.train_step(batch_of(photos, settings))
    assert not torch.equal(before, trainer.descriptor.neck.running_mean)


def test_lr_rises_stays_and_falls_to_nothing():
    settings = TrainSettings(num_steps=100, warmup_share=0.2, flat_until=0.4)
    share = [lr_share(step, settings) for step in range(100)]
    assert share[0] == pytest.approx(0.05) and share[9] == pytest.approx(0.5)
    assert share[19:40] == [1.0] * 21
    assert share[70] == pytest.approx(0.5) and 0 < share[99] < 0.01
    assert share[20:] == sorted(share[20:], reverse=True)


def test_groups_stay_on_one_side_of_the_split():
    groups = [f"scene {number // 4}" for number in range(60)]
    for seed in range(20):
        trained, held = hold_back(groups, 0.2, seed)
        assert sorted(trained + held) == list(range(60))
        assert not {groups[number] for number in trained} & {groups[number] for number in held}
        assert 4 <= len(held) <= 18


def test_group_larger_than_the_fold_is_trained_on():
    groups = ["huge"] * 50 + [str(number) for number in range(50)]
    _, held = hold_back(groups, 0.2, 0)
    assert len(held) == 20 and min(held) >= 50


def test_of_a_million_photos_no_more_are_held_back_than_can_be_measured():
    trained, held = hold_back([str(number) for number in range(30_000)], 0.2, 0)
    assert len(held) == 4096 and len(trained) == 30_000 - 4096


def test_too_few_photos_are_refused():
    with pytest.raises(ValueError, match=r"7 photos in 7 groups can't be split.*give more photos"):
        hold_back(list("abcdefg"), 0.2, 0)


def test_manifest_names_the_groups(tmp_path):
    (tmp_path / "manifest.csv").write_text("file,group\nimg/a.jpg,one\nimg/b.jpg,one\nimg/c.jpg,\n")
    files = [ImageFile(id=name, path=str(tmp_path / "img" / f"{name}.jpg")) for name in "abcd"]
    assert groups_of(files, tmp_path) == ["group one", "group one", "photo c", "photo d"]
    assert groups_of(files, tmp_path / "img") == ["photo a", "photo b", "photo c", "photo d"]


def test_photos_of_one_shard_are_no_group(tmp_path):
    files = [ImageFile(id=name, path=str(tmp_path / "all.tar"), member=f"{name}.jpg") for name in "ab"]
    assert len(set(groups_of(files, tmp_path))) == 2


def test_fold_asks_for_copies_and_for_whole_photos_of_cropped_references(photos):
    fold = make_fold_set(photos, 0)
    again = make_fold_set(photos, 0)
    assert len(fold.references) == 20 and len(fold.queries) == 10 * 3 + 10
    assert (fold.reference_Q >= 0).sum() == 30
    for query, source in enumerate(fold.source_Q):
        reversed_query = fold.reference_Q[query] == -1
        assert reversed_query == (fold.references[source].shape != fold.whole[source].shape)
        if reversed_query:
            assert fold.queries[query].tobytes() == fold.whole[source].tobytes()
    assert all(one.tobytes() == two.tobytes() for one, two in zip(fold.queries, again.queries, strict=True))


def test_photo_that_cannot_be_decoded_is_reported_and_left_out(photo_folder, tmp_path):
    for path in photo_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "photo05.png").write_bytes(b"")
    photos, failures = read_photos(find_images(tmp_path), 64, num_threads=2, progress=False)
    assert len(photos) == 19 and [failure.id for failure in failures] == ["photo05"]
    assert all(file.id != "photo05" for file in photos.files)
    assert photos[5].tobytes() == photos.subset([5])[0].tobytes()


def test_photos_are_kept_no_larger_than_views_need(photos, photo_folder):
    small, _ = read_photos(find_images(photo_folder), 36, num_threads=1, progress=False)
    assert {small[number].shape for number in range(20)} == {(36, 48, 3)}
    assert photos[0].shape == (64, 85, 3)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipe_survives_json(name):
    told = json.loads(json.dumps(RECIPES[name].to_dict()))
    loss, pairs = LossSettings(**told.pop("loss")), PairSettings(**told.pop("pairs"))
    assert TrainSettings(loss=loss, pairs=pairs, **told) == RECIPES[name]


def test_paper_recipe_says_what_the_paper_says():
    paper = RECIPES["paper"]
    assert (paper.num_steps, paper.num_identities, paper.num_views) == (200_000, 32, 4)
    assert (paper.edge_px, paper.optimizer, paper.lr, paper.ema_decay) == (256, "adam", 3.5e-4, 0.9999)
    lr = [lr_share(epoch * 8000, paper) for epoch in (2.5, 5, 9.9, 17.5)]
    assert lr == pytest.approx([0.5, 1, 1, 0.5], abs=1e-3)


@pytest.mark.slow
def test_paper_recipe_takes_two_steps_and_measures(photo_folder, tmp_path):
    """With random weights, and an eighth of its identities: the whole batch takes 20 GB."""
    paper = RECIPES["paper"]
    config = DescriptorConfig(backbone=paper.start.removeprefix("timm:"), edge_px=paper.edge_px)
    torch.manual_seed(0)
    save_descriptor(tmp_path / "start", Descriptor(config), config)
    settings = dataclasses.replace(paper, start=str(tmp_path / "start"), num_steps=2, num_identities=4)
    outcome = learn(photo_folder, tmp_path / "run", settings)
    assert outcome.num_trained == 16 and 0 <= outcome.after.uap <= 1
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and all(np.isfinite(row["loss/total"]) for row in rows)
    assert load_descriptor(tmp_path / "run/model").module.num_dims == 2048


def test_paper_model_can_be_made():
    paper = RECIPES["paper"]
    model = Descriptor(DescriptorConfig(backbone=paper.start.removeprefix("timm:"), edge_px=paper.edge_px))
    assert model.num_dims == 2048


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"num_steps": 0}, "num_steps must be 1 or more, got 0"),
        ({"optimizer": "sgd"}, "optimizer must be adam or adamw, got 'sgd'"),
        ({"edit_share": 1.5}, r"edit_share must be in \[0, 1\], got 1\.5"),
        ({"fused_class_step": True, "clip_norm": 1.0}, "clip_norm must be 0 with fused_class_step, got 1.0"),
        ({"ordered_by": "size"}, "ordered_by must be one of both, area, content, got 'size'"),
        ({"warmup_share": 0.6}, "warmup_share 0.6 must not pass flat_until 0.4"),
    ],
)
def test_wrong_setting_is_named_with_its_value(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        TrainSettings(**({"num_steps": 10} | change))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"per_batch": -1}, r"pairs\.per_batch must be 0 or more .* got -1 and 8"),
        ({"most_per_class": 1}, r"most_per_class 2 or more, got 2 and 1"),
        ({"classes": "same"}, r"pairs\.classes must be one of one, own, got 'same'"),
        ({"term": "both"}, r"pairs\.term must be one of even, one-way, random, got 'both'"),
    ],
)
def test_wrong_setting_of_pairs_is_named_with_its_value(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        PairSettings(**change)


def test_final_weights_are_those_in_the_checkpoint(photo_folder, settings, tmp_path):
    learn(photo_folder, tmp_path / "one", dataclasses.replace(settings, num_steps=4))
    state, _ = load_checkpoint(tmp_path / "one/checkpoint")
    weights = load_file(tmp_path / "one/model/model.safetensors")
    assert all(torch.equal(value, state[f"ema.{name}"]) for name, value in weights.items())
