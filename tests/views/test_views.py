"""Orders in, pixels and traces out."""

import dataclasses
import tarfile
import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from asl_fast.edits import RECIPES, Chain, Crop, Fit
from asl_fast.edits.compositing.collage import Collage
from asl_fast.edits.compositing.underlay import Underlay
from asl_fast.images import decode, find_images
from asl_fast.views import CpuExecutor, FilePhotos, MemoryPhotos, ViewOrder, shard_of, stream
from asl_fast.views.making import Maker, PhotoOrder

FIT = Fit(edge_px=64)
LEFT_HALF = Crop(left=0.0, top=0.0, width=0.5, height=1.0)


def orders_of(num_photos, num_views, seed, recipe="disc"):
    rng = np.random.default_rng(seed)
    return [
        ViewOrder(int(rng.integers(num_photos)), RECIPES[recipe].sample(rng, 0.8, fit=FIT))
        for _ in range(num_views)
    ]


def here(source):
    """In this process: no process to wait for."""
    return CpuExecutor(source, num_workers=0)


def same(one, other):
    assert_array_equal(one.pixels_BHWC, other.pixels_BHWC)
    assert_array_equal(one.photo_B, other.photo_B)
    for a, b in zip(one.trace_B, other.trace_B, strict=True):
        assert_array_equal(a.matrix, b.matrix)
        assert_array_equal(a.region, b.region)
        assert (a.photo_size, a.view_size, a.clear) == (b.photo_size, b.view_size, b.clear)


def test_a_view_is_the_chain_of_the_decoded_photo(encoded, photos):
    chain = Chain((LEFT_HALF, Fit(edge_px=190)))  # more than any smaller size of the photo would do for
    made = here(photos).make([ViewOrder(3, chain)])
    view = chain.view(np.asarray(decode(encoded[3])), [])
    assert_array_equal(made.pixels_BHWC[0], view.pixels)
    assert_array_equal(made.trace_B[0].matrix, view.trace.matrix)
    assert made.trace_B[0].photo_size == (401, 263)


def test_files_shards_and_memory_give_the_same_views(tmp_path, encoded):
    for number, data in enumerate(encoded):
        (tmp_path / f"{number}.jpg").write_bytes(data)
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        for number in range(len(encoded)):
            shard.add(tmp_path / f"{number}.jpg", f"{number}.jpg")
    orders = orders_of(len(encoded), 6, seed=1)
    made = here(MemoryPhotos(encoded)).make(orders)
    for place in (tmp_path, tmp_path / "shard.tar"):
        same(here(FilePhotos(find_images(place))).make(orders), made)


def test_a_broken_photo_is_replaced_by_the_next_and_told_once(encoded):
    executor = here(MemoryPhotos([*encoded[:2], b"no photo", b"", *encoded[2:4], encoded[4][:90]]))
    chain = Chain((FIT,))
    made = executor.make([ViewOrder(number, chain) for number in (2, 1, 6, 3, 2)])
    assert made.photo_B.tolist() == [4, 1, 0, 4, 4]
    assert [failure.id for failure in made.failures] == ["2", "3", "6"]
    assert "not an image" in made.failures[0].reason and "empty" in made.failures[1].reason
    assert executor.make([ViewOrder(2, chain)]).failures == ()


def test_a_broken_photo_is_replaced_where_an_edit_takes_it_too(encoded):
    underlay = dataclasses.replace(Underlay.sample(np.random.default_rng(0), 1.0), other=0.5)
    orders = [ViewOrder(0, Chain((underlay, FIT)))]
    made = here(MemoryPhotos([encoded[0], b"no photo"])).make(orders)
    assert made.photo_B.tolist() == [0] and [failure.id for failure in made.failures] == ["1"]
    expected = here(MemoryPhotos([encoded[0], encoded[0]])).make(orders)
    assert_array_equal(made.pixels_BHWC, expected.pixels_BHWC)


def test_the_photos_of_a_message_are_read_at_once(encoded):
    asked = []

    def read(numbers):
        asked.append(sorted(numbers))
        return [encoded[number] for number in numbers]

    rng = np.random.default_rng(0)
    chains = [
        Chain((dataclasses.replace(Underlay.sample(rng, 1.0), other=0.9), FIT)),
        Chain((Collage(columns=2, rows=2, cell=0, others=(0.5, 0.7, 0.5), gap=0.0, fill=(0, 0, 0)), FIT)),
    ]
    rows = np.empty((2, 2, 64, 64, 3), np.uint8)
    maker = Maker(read, len(encoded), 1 << 30)
    maker.make([PhotoOrder(photo, chains, rows[photo]) for photo in (0, 1)])
    assert asked == [[0, 1, 3, 4, 5]]
    maker.make([PhotoOrder(0, chains, rows[0])])
    assert len(asked) == 1


def test_a_missing_file_is_a_failure(tmp_path, encoded):
    for number in range(2):
        (tmp_path / f"{number}.jpg").write_bytes(encoded[number])
    executor = here(FilePhotos(find_images(tmp_path)))
    (tmp_path / "0.jpg").unlink()
    made = executor.make([ViewOrder(0, Chain((FIT,)))])
    assert made.photo_B.tolist() == [1]
    assert [(failure.id, failure.path) for failure in made.failures] == [("0", str(tmp_path / "0.jpg"))]


def test_only_broken_photos_are_one_clear_error():
    executor = here(MemoryPhotos([b"", b"GIF89a"]))
    with pytest.raises(ValueError, match=r"none of 2 photos can be decoded; photo 0: empty file"):
        executor.make([ViewOrder(0, Chain((FIT,)))])


def test_no_orders_are_no_views(photos):
    made = here(photos).make([])
    assert len(made.pixels_BHWC) == 0 and made.trace_B == () and made.failures == ()


@pytest.mark.parametrize(
    ("orders", "told"),
    [
        ([ViewOrder(0, Chain())], "must end with a Fit"),
        ([ViewOrder(0, Chain((Fit(edge_px=8, way="within"),)))], "must end with a Fit"),
        ([ViewOrder(0, Chain((FIT,))), ViewOrder(0, Chain((Fit(edge_px=8),)))], "one size, got edges of"),
        ([ViewOrder(6, Chain((FIT,)))], "from 0 to 5, got 6"),
        ([ViewOrder(-1, Chain((FIT,)))], "from 0 to 5, got -1"),
    ],
)
def test_orders_that_are_no_batch_are_refused(photos, orders, told):
    with pytest.raises(ValueError, match=told):
        here(photos).make(orders)


def test_a_stream_is_the_batches_in_order(photos):
    batches = [orders_of(6, 3, seed) for seed in range(5)]
    executor = here(photos)
    for made, orders in zip(stream(executor, batches, ahead=3), batches, strict=True):
        same(made, executor.make(orders))


def test_a_streams_exception_comes_at_its_batch(photos):
    views = stream(here(photos), [orders_of(6, 2, 0), [ViewOrder(9, Chain((FIT,)))]])
    assert len(next(views).trace_B) == 2
    with pytest.raises(ValueError, match="from 0 to 5, got 9"):
        next(views)
    assert not threads()


def test_an_exception_among_the_orders_comes_at_its_batch(photos):
    def batches():
        yield orders_of(6, 2, 0)
        raise KeyError("no more")

    views = stream(here(photos), batches(), ahead=3)
    next(views)
    with pytest.raises(KeyError, match="no more"):
        next(views)


def test_a_closed_stream_leaves_no_thread(photos):
    drawn = []

    def batches():
        for seed in range(1000):
            drawn.append(seed)
            yield orders_of(6, 1, seed)

    views = stream(here(photos), batches(), ahead=2)
    next(views)
    views.close()
    assert not threads() and len(drawn) <= 4


def threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("asl_fast-str")]


def test_ranks_share_all_photos_evenly():
    for world in (1, 2, 3, 7):
        shares = [shard_of(20, rank, world) for rank in range(world)]
        assert sorted(number for share in shares for number in share) == list(range(20))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    with pytest.raises(ValueError, match="rank 2 of 2"):
        shard_of(20, 2, 2)
