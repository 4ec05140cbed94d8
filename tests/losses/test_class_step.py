"""The step within the backward pass: torch.optim's, chunk by chunk, and what it rules out."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from asl_fast.kernels.cosface_ratio import chunked
from asl_fast.losses import AslLoss, ClassAdam, ClassSgd, LossSettings

# What steps at once, and the optimizer that it must equal.
PAIRS = {
    "sgd": (lambda: ClassSgd(0.3, momentum=0.9, weight_decay=0.01),
            lambda weight: torch.optim.SGD([weight], 0.3, momentum=0.9, weight_decay=0.01)),
    "sgd without momentum": (lambda: ClassSgd(0.3, momentum=0.0),
                             lambda weight: torch.optim.SGD([weight], 0.3)),
    "adam": (lambda: ClassAdam(0.01, weight_decay=0.1, decoupled=False),
             lambda weight: torch.optim.Adam([weight], 0.01, weight_decay=0.1)),
    "adamw": (lambda: ClassAdam(0.01, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.1),
              lambda weight: torch.optim.AdamW([weight], 0.01, (0.8, 0.9), eps=1e-6, weight_decay=0.1)),
}  # fmt: skip
NUM_CLASSES, NUM_DIMS, NUM_ROWS = 333, 17, 12


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK_ELEMENTS", 1)  # 64 classes a chunk, the last one shorter


def new_loss(step=None, share=1.0, dtype=torch.float32):
    torch.manual_seed(0)
    return AslLoss(NUM_CLASSES, NUM_DIMS, LossSettings(negative_share=share), class_step=step).to(dtype)


def drawn_pairs():
    return torch.randint(-1, NUM_ROWS, (9, 2))


def loss_at(loss, number):
    """The loss of one batch, and its rows."""
    torch.manual_seed(number)
    row = (3 * torch.randn(NUM_ROWS, NUM_DIMS)).to(loss.weight_CD.dtype).requires_grad_()
    label = torch.randint(-1, NUM_CLASSES, (NUM_ROWS,))
    return loss(row, label, drawn_pairs(), drawn_pairs()).total, row


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", PAIRS)
def test_steps_are_those_of_torch_optim(kind, dtype):
    fused, plain = new_loss(PAIRS[kind][0](), dtype=dtype), new_loss(dtype=dtype)
    optimizer = PAIRS[kind][1](plain.weight_CD)
    for number in range(6):
        fused_total, fused_row = loss_at(fused, number)
        plain_total, plain_row = loss_at(plain, number)
        fused_total.backward()
        optimizer.zero_grad()
        plain_total.backward()
        optimizer.step()
        assert fused.weight_CD.grad is None
        assert torch.equal(fused_total, plain_total) and torch.equal(fused_row.grad, plain_row.grad)
        assert torch.equal(fused.weight_CD, plain.weight_CD), number
    for name in fused.class_step._moments:
        theirs = {"momentum_CD": "momentum_buffer", "mean_CD": "exp_avg", "square_CD": "exp_avg_sq"}[name]
        assert torch.equal(fused.class_step.get_buffer(name), optimizer.state[plain.weight_CD][theirs])


@pytest.mark.parametrize("kind", PAIRS)
def test_narrow_weights_are_stepped_in_float32_and_rounded(kind):
    fused = new_loss(PAIRS[kind][0]()).to(torch.bfloat16)
    fused.class_step.prepare(fused.weight_CD)
    wide = new_loss()
    optimizer = PAIRS[kind][1](wide.weight_CD)
    with torch.no_grad():
        wide.weight_CD.copy_(fused.weight_CD)
    for number in range(6):
        loss_at(fused, number)[0].backward()
        torch.manual_seed(number)
        row = (3 * torch.randn(NUM_ROWS, NUM_DIMS)).bfloat16().float()
        label = torch.randint(-1, NUM_CLASSES, (NUM_ROWS,))
        pairs = drawn_pairs()
        optimizer.zero_grad()
        wide(row, label, pairs, drawn_pairs()).total.backward()
        optimizer.step()
        with torch.no_grad():
            wide.weight_CD.copy_(wide.weight_CD.bfloat16())
        assert fused.weight_CD.dtype == torch.bfloat16
        assert torch.equal(fused.weight_CD.float(), wide.weight_CD)
    assert all(moment.dtype == torch.float32 for moment in fused.class_step.moments())


class Allocated(TorchDispatchMode):
    """The sizes of all memory that operations took while this was on."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        known = {
            value.untyped_storage().data_ptr()
            for value in tree_leaves((args, kwargs))
            if torch.is_tensor(value)
        }
        answer = func(*args, **(kwargs or {}))
        for value in tree_leaves(answer):
            if torch.is_tensor(value) and value.untyped_storage().data_ptr() not in known:
                self.sizes.append(value.untyped_storage().nbytes())
        return answer


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_gradient_of_the_classes_never_exists_as_a_whole(kind):
    fused, plain = new_loss(PAIRS[kind][0]()), new_loss()
    largest = []
    for loss in (fused, plain):
        total, _ = loss_at(loss, 0)
        with Allocated() as allocated:
            total.backward()
        largest.append(max(allocated.sizes))
    assert largest[0] == 64 * NUM_DIMS * 4 and largest[1] == NUM_CLASSES * NUM_DIMS * 4


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_restored_state_takes_the_same_next_step(kind):
    one = new_loss(PAIRS[kind][0]())
    for number in range(3):
        loss_at(one, number)[0].backward()
    other = new_loss(PAIRS[kind][0]())
    other.load_state_dict({name: value.clone() for name, value in one.state_dict().items()})
    for loss in (one, other):
        loss_at(loss, 3)[0].backward()
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    assert other.class_step.num_steps == 4


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_sampled_step_moves_the_sampled_rows_as_their_own_step_would(kind):
    fused, plain = new_loss(PAIRS[kind][0](), share=0.2), new_loss(share=0.2)
    before = fused.weight_CD.detach().clone()
    optimizer = PAIRS[kind][1](plain.weight_CD)
    loss_at(fused, 0)[0].backward()
    loss_at(plain, 0)[0].backward()
    sampled = plain.weight_CD.grad.abs().sum(1) > 0
    optimizer.step()
    assert 40 < sampled.sum() < 120
    torch.testing.assert_close(fused.weight_CD[sampled], plain.weight_CD[sampled], rtol=1e-6, atol=1e-7)
    assert torch.equal(fused.weight_CD[~sampled], before[~sampled])
    assert all((moment[~sampled] == 0).all() for moment in fused.class_step.moments())


def test_frozen_descriptor_still_trains_the_classes():
    loss = new_loss(ClassSgd(0.3))
    before = loss.weight_CD.detach().clone()
    row, label = torch.randn(4, NUM_DIMS), torch.arange(4)
    loss(row, label, torch.empty(0, 2, dtype=torch.int64)).total.backward()
    assert row.grad is None and not torch.equal(loss.weight_CD, before)


def test_loss_without_a_backward_pass_steps_nothing():
    loss = new_loss(ClassAdam(0.1))
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    loss_at(loss, 0)
    with torch.no_grad():
        loss_at(loss, 1)
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())
    loss_at(loss, 2)[0].backward()
    assert loss.class_step.num_steps == 1


def test_accumulation_is_refused():
    loss = new_loss(ClassSgd(0.1))
    totals = [loss_at(loss, number)[0] for number in range(2)]
    with pytest.raises(ValueError, match=r"stepped after this loss was computed.*can't be accumulated"):
        (totals[0].backward(), totals[1].backward())


def test_second_backward_pass_is_refused():
    loss = new_loss(ClassSgd(0.1))
    total, _ = loss_at(loss, 0)
    total.backward(retain_graph=True)
    after = loss.weight_CD.detach().clone()
    with pytest.raises(ValueError, match="its one backward pass"):
        total.backward()
    assert torch.equal(loss.weight_CD, after)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: ClassSgd(-0.1), "lr of the class step must be finite and not negative, got -0.1"),
        (lambda: ClassSgd(0.1, momentum=1.0), r"momentum of the class step must be in \[0, 1\), got 1.0"),
        (lambda: ClassSgd(0.1, weight_decay=float("inf")), "weight_decay .* got inf"),
        (lambda: ClassAdam(0.1, betas=(0.9, 1.0)), r"beta2 .* in \[0, 1\), got 1.0"),
        (lambda: ClassAdam(0.1, eps=float("nan")), "eps .* got nan"),
    ],
)
def test_wrong_setting_is_named_with_its_value(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()
