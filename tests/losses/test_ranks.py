"""Classes divided over processes: the one process's result, errors on all ranks, weights on disk."""

import itertools

import pytest
import torch
from rank_calls import (
    FORMULA,
    STEPS,
    Linear,
    bad_batch,
    batch,
    class_weights,
    descriptor_gradient,
    load_and_train,
    loss_and_gradients,
    new_weights,
    train_and_save,
)

from asl_fast.errors import InputError
from asl_fast.kernels.cosface_ratio.reference import cosface_norm_ratio_reference
from asl_fast.losses import AslLoss, Ranks, divided_loss, load_class_shards
from asl_fast.losses.ranks import class_range


def whole_batch(num_ranks, num_classes, num_dims, dtype):
    """All ranks' batches as one."""
    rows, labels, *pair_kinds = zip(
        *(batch(rank, num_classes, num_dims, dtype) for rank in range(num_ranks)), strict=True
    )
    before = [sum(map(len, rows[:rank])) for rank in range(num_ranks)]
    shifted = [
        torch.cat(
            [torch.where(pair < 0, -1, pair + first) for pair, first in zip(pairs, before, strict=True)]
        )
        for pairs in pair_kinds
    ]
    return torch.cat(rows), torch.cat(labels), *shifted


def alone(num_ranks, num_classes, num_dims, dtype, loss=cosface_norm_ratio_reference, **options):
    row, *told = whole_batch(num_ranks, num_classes, num_dims, dtype)
    weight = class_weights(num_classes, num_dims, dtype).requires_grad_()
    row.requires_grad_()
    parts = loss(row, weight, *told, **FORMULA | options)
    parts[0].backward()
    return *(part.detach() for part in parts), row.grad, weight.grad


def joined(answers):
    """The ranks' answers as those of one process; what all must agree on, they do."""
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    assert all(torch.equal(answer[at], answers[0][at]) for answer in answers for at in range(4))
    return *answers[0][:4], *(torch.cat([answer[at] for answer in answers]) for at in (4, 5))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("num_classes", [1, 2, 7, 1001])
def test_divided_classes_give_the_loss_and_gradients_of_one_process(ranks, num_classes, dtype):
    num_ranks, call = ranks
    divided = joined(call(loss_and_gradients, num_classes, 16, dtype, {}))
    plain = alone(num_ranks, num_classes, 16, dtype)
    exact = alone(num_ranks, num_classes, 16, torch.float64) if dtype != torch.bfloat16 else None
    if exact is None:
        row, *told = whole_batch(num_ranks, num_classes, 16, dtype)
        weight = class_weights(num_classes, 16, dtype).double().requires_grad_()
        row = row.double().requires_grad_()
        parts = cosface_norm_ratio_reference(row, weight, *told, **FORMULA)
        parts[0].backward()
        exact = *(part.detach() for part in parts), row.grad, weight.grad
    for ours, theirs, true in zip(divided, plain, exact, strict=True):
        assert ours.dtype == theirs.dtype and ours.shape == true.shape
        scale = true.abs().max().clamp_min(1e-30)
        floor = 64 * torch.finfo(torch.float32 if dtype == torch.bfloat16 else dtype).eps
        allowed = (theirs.double() - true).abs().max() / scale + floor
        assert (ours.double() - true).abs().max() / scale <= allowed


def test_same_bits_every_time(ranks):
    _, call = ranks
    once, again = (call(loss_and_gradients, 1001, 16, torch.float32, {}) for _ in range(2))
    for one, other in zip(once, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_sampled_classes_are_the_same_for_any_number_of_ranks(ranks):
    num_ranks, call = ranks
    options = {"negative_share": 0.3}
    divided = joined(call(loss_and_gradients, 101, 16, torch.float64, options))
    torch.manual_seed(5)  # rank 0's
    single = alone(num_ranks, 101, 16, torch.float64, divided_loss, ranks=Ranks(101), **options)
    for ours, theirs in zip(divided, single, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    untouched = (single[5] == 0).all(1).sum().item()
    assert 40 < untouched < 80


def test_share_of_one_is_the_exact_softmax(ranks):
    _, call = ranks
    exact, sampled = (
        call(loss_and_gradients, 21, 16, torch.float32, options) for options in ({}, {"negative_share": 1.0})
    )
    for one, other in zip(exact, sampled, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_descriptor_under_data_parallel_gets_the_gradient_of_one_process(ranks):
    num_ranks, call = ranks
    row, *told = whole_batch(num_ranks, 9, 8, torch.float64)
    model = Linear()
    weight = class_weights(9, 8, torch.float64)
    cosface_norm_ratio_reference(model(row), weight, *told, **FORMULA)[0].backward()
    for gradient in call(descriptor_gradient, num_ranks):
        torch.testing.assert_close(gradient, model.layer.weight.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("fault", "at_fault", "elsewhere"),
    [
        ("label", r"label_N must lie in -1\.\.8 .* got 9", "rank 1 refused its arguments"),
        ("pair", r"pair_index_P2 must lie in -1\.\.6 .* got 7", "rank 1 refused its arguments"),
        ("even pair", r"even_index_E2 must lie in -1\.\.6 .* got 7", "rank 1 refused its arguments"),
        ("classes", r"weight_CD must hold the \d classes", "rank 1 refused its arguments"),
        ("row", "feature_ND must be finite.* in row 6", "feature_ND must be finite.* in row 6"),
        ("weight", "weight_CD must be finite.* in row 1", "rank 1 refused its class weights"),
        ("dims", "rank 1 are torch.float32 with 7 columns", "rank 1 are torch.float32 with 7 columns"),
        ("type", "rank 1 are torch.float64 with 8 columns", "rank 1 are torch.float64 with 8 columns"),
    ],
)
def test_fault_of_one_rank_is_an_error_on_all(ranks, fault, at_fault, elsewhere):
    num_ranks, call = ranks
    answers = call(bad_batch, fault)
    for rank in range(num_ranks):
        with pytest.raises(ValueError, match=at_fault if rank == 1 else elsewhere):
            raise answers[rank]
    assert not isinstance(call(bad_batch, "none")[0], Exception)  # and the group still works


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", sorted(STEPS))
def test_saved_classes_load_into_any_number_of_ranks(ranks, kind, dtype, tmp_path):
    num_ranks, call = ranks
    for share in (0.5, 1.0):
        weight = torch.cat(call(train_and_save, tmp_path, kind, 3, dtype, share))
    assert len(list(tmp_path.glob("*.safetensors"))) == num_ranks
    whole = load_and_train(0, None, tmp_path, kind, 3, dtype)
    assert torch.equal(whole["weight_CD"], weight) and whole["class_step.num_steps"] == 3
    parts = call(load_and_train, tmp_path, kind, 3, dtype)
    for name, value in whole.items():
        shards = [part[name] for part in parts]
        assert torch.equal(value, torch.cat(shards) if value.ndim else shards[-1]), name


def test_classes_of_one_process_load_into_many(ranks, tmp_path):
    _, call = ranks
    weight = train_and_save(0, None, tmp_path, "adam", 3, torch.float32, 1.0)
    parts = call(load_and_train, tmp_path, "adam", 3, torch.float32)
    assert torch.equal(torch.cat([part["weight_CD"] for part in parts]), weight)


def test_new_classes_differ_between_ranks_of_one_seed(ranks):
    _, call = ranks
    weight = torch.cat(call(new_weights))
    assert len(weight.unique(dim=0)) == 12


@pytest.mark.parametrize(("num_classes", "world_size"), [(1, 3), (10, 3), (10_000_019, 64)])
def test_ranges_cover_all_classes_and_differ_by_one_at_most(num_classes, world_size):
    ranges = [class_range(num_classes, rank, world_size) for rank in range(world_size)]
    assert ranges[0][0] == 0 and ranges[-1][1] == num_classes
    assert all(one[1] == other[0] for one, other in itertools.pairwise(ranges))
    sizes = {stop - first for first, stop in ranges}
    assert max(sizes) - min(sizes) <= 1


def test_unreadable_class_weights_are_told(tmp_path):
    train_and_save(0, None, tmp_path, "sgd", 1, torch.float32, 1.0)
    with pytest.raises(InputError, match="holds 11 classes, this run has 12"):
        load_class_shards(tmp_path, AslLoss(12, 8))
    next(tmp_path.glob("*.safetensors")).write_bytes(b"short")
    with pytest.raises(InputError, match=r"class weights in .* can't be read"):
        load_class_shards(tmp_path, AslLoss(11, 8))
