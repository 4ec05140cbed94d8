"""Batches of a training step, made in this process."""

from asl_fast.images import Resize
from asl_fast.training.photo_set import PhotoSet
from asl_fast.training.views import Views
from asl_fast.views import CpuExecutor, FilePhotos


def photo_set(photos, pairs=(), num_single=None, groups=None):
    numbers = range(len(photos))
    return PhotoSet(
        size_N=[photos.size(number) for number in numbers],
        group_N=groups or [f"photo {number}" for number in numbers],
        num_single=len(photos) if num_single is None else num_single,
        pairs=list(pairs),
    )


def views_of(photos, settings, seed=0, pairs=(), num_single=None, groups=None, **ranks):
    return Views(photo_set(photos, pairs, num_single, groups), Resize(edge_px=32), settings, seed, **ranks)


def batch_of(photos, settings, step=0, seed=0, executor=None, **more):
    views = views_of(photos, settings, seed, **more)
    plan = views.plan(step)
    executor = executor or CpuExecutor(FilePhotos(photos.files), num_workers=0)
    return views.batch(plan, executor.make(plan.orders))
