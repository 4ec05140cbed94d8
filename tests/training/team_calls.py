"""What the processes of a team are told to do in test_team.py."""

import dataclasses
from pathlib import Path

import torch
from torch import nn

from asl_fast.images import find_images
from asl_fast.losses import Ranks
from asl_fast.training import Team, TrainSettings, read_pairs, train
from asl_fast.training import steps as steps_module
from asl_fast.training.photos import read_photos
from asl_fast.training.statistics import join_statistics


def team_of(rank, group):
    return Team(rank, group.size(), group)


def trained(rank, group, told, photos, pairs, out, stop_after=None):
    """Train as told; stop_after: as if killed after that many steps."""
    settings = TrainSettings(**told)
    if stop_after is not None:
        settings_of, settings_module = steps_module._due, steps_module

        def due(step, every, num_steps):
            if step > stop_after:
                raise InterruptedError
            return settings_of(step, every, num_steps)

        settings_module._due = due
    try:
        outcome = train(
            find_images(photos), Path(out), settings, seed=3, folder=Path(photos), pairs=read_pairs(pairs),
            num_workers=0, progress=False, team=team_of(rank, group) if group else None,
        )  # fmt: skip
        return dataclasses.asdict(outcome)
    except InterruptedError:
        return "stopped"
    finally:
        if stop_after is not None:
            settings_module._due = settings_of


def trained_on_other_photos(rank, group, told, photos, pairs, out):
    return trained(rank, group, told | {"lr": 0.1 * (1 + rank)}, photos, pairs, out)


def said(rank, group):
    return team_of(rank, group).tell({"rank": rank, "text": "ä" * 3 * rank})


def photos_read(rank, group, folder):
    photos, failures = read_photos(
        find_images(folder), 64, num_threads=1, progress=False, team=team_of(rank, group)
    )
    kept = len(photos._kept)
    sizes = [photos.size(number) for number in range(len(photos))]
    told = kept, sizes, [file.id for file in photos.files], [(one.id, one.reason) for one in failures]
    return (*told, [photos[number].tobytes() for number in range(len(photos))])


def normed(rank, group, num_rows_W):
    """Outputs, gradients and statistics of norms that see all ranks' rows."""
    ranks = Ranks(1, group)
    first = sum(num_rows_W[:rank])
    return normed_rows(slice(first, first + num_rows_W[rank]), sum(num_rows_W), ranks)


def normed_rows(own, num_rows, ranks=None):
    generator = torch.Generator().manual_seed(0)
    shape = (num_rows, 6, 2, 2)
    row = torch.randn(shape, generator=generator, dtype=torch.float64)[own].requires_grad_()
    weight = torch.randn(shape, generator=generator, dtype=torch.float64)[own]
    norms = nn.Sequential(
        nn.BatchNorm2d(6, momentum=0.3), nn.Flatten(), nn.BatchNorm1d(24, momentum=None)
    ).double()
    with torch.no_grad():
        for norm in (norms[0], norms[2]):
            norm.weight.uniform_(0.5, 2, generator=generator)
            norm.bias.normal_(generator=generator)
    if ranks is not None:
        join_statistics(norms, ranks)
    for _ in range(2):
        result = norms(row)
    (result * weight.flatten(1)).square().sum().backward()
    gradients = [parameter.grad for parameter in norms.parameters()]
    statistics = [value.clone() for name, value in norms.state_dict().items() if "running" in name]
    return result.detach(), row.grad, gradients, statistics
