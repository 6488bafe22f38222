"""Whatever ranks and workers there are: the same samples in the same order, each as often as it should, and on from any
batch as if nothing had happened."""

import pickle
import random

import pytest
from torch.utils.data import DataLoader

from stages.load import EventDataset, OtherPlan
from tests.load.releases import Event, write_release

EVENTS, BATCH = 53, 24
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """{number of tars: a release of EVENTS events in so many}."""
    found = {}
    for count in range(1, 10):
        tars = [[Event(n, 3 + n % 5) for n in range(EVENTS) if n % count == tar] for tar in range(count)]
        found[count] = write_release(tmp_path_factory.mktemp(f"tars{count}"), tars)
    return found


def names(batch) -> list[str]:
    return [key for key, pad in zip(batch["key"], batch["row_is_pad"].tolist(), strict=True) if not pad]


def epoch(release, world: int, workers: int, **settings) -> list[list[str]]:
    """Keys of each global batch, ranks in turn."""
    ranks = []
    for rank in range(world):
        loader = EventDataset(str(release)).loader(BATCH, workers, rank=rank, world=world, **settings)
        ranks.append([names(batch) for batch in loader])
        assert len(ranks[-1]) == -(-EVENTS // BATCH)
    return [[key for own in batches for key in own] for batches in zip(*ranks, strict=True)]


@pytest.mark.parametrize("shards", range(1, 10))
def test_every_event_comes_once_an_epoch_in_the_same_order_for_every_world(releases, shards):
    alone = epoch(releases[shards], 1, 0)
    assert sorted(key for batch in alone for key in batch) == sorted(Event(n, 1).key for n in range(EVENTS))
    for world in (2, 3, 8):
        assert epoch(releases[shards], world, 0) == alone


@pytest.mark.parametrize(("world", "workers"), [(1, 1), (1, 4), (3, 1)])  # make soak tries them all
def test_workers_change_nothing(releases, world, workers):
    assert epoch(releases[5], world, workers) == epoch(releases[5], 1, 0)


@pytest.mark.soak
@pytest.mark.parametrize("shards", range(1, 10))
def test_every_event_comes_once_for_all_worlds_workers_and_tars(releases, shards):
    alone = epoch(releases[shards], 1, 0)
    for world in (1, 2, 3, 8):
        for workers in (0, 1, 4):
            assert epoch(releases[shards], world, workers) == alone, (world, workers)


@pytest.mark.parametrize("settings", [{"bucket": True}, {"pack": 12}, {"mixed_tars": 2}, {"by_layout": True}])
def test_buckets_packs_and_near_tars_keep_that_promise(releases, settings):
    def flat(world: int) -> list[str]:
        ranks = [
            list(EventDataset(str(releases[4])).loader(BATCH, rank=rank, world=world, **settings))
            for rank in range(world)
        ]
        return [str(key) for step in zip(*ranks, strict=True) for batch in step for key in names(batch)]

    assert flat(1) == flat(3)
    assert sum(key.count("lab-") for key in flat(1)) == EVENTS


def stops() -> list[tuple[int, int, int, int]]:
    """(batches seen, world, workers then, workers after), at random."""
    draw = random.Random(17)
    return [
        (draw.randrange(12), draw.choice([1, 2, 3, 8]), draw.choice([0, 0, 0, 2]), draw.choice([0, 0, 0, 2]))
        for _ in range(20)
    ]


@pytest.mark.parametrize(("seen", "world", "before", "after"), stops())
def test_a_run_goes_on_exactly_where_it_stopped_in_another_world_too(releases, seen, world, before, after):
    """A whole run is two epochs of seven (six) batches of 8 (9) rows."""
    size = 8 if world != 3 else 9

    def run(loader, count: int) -> list[list[str]]:
        found: list[list[str]] = []
        while len(found) < count:
            for batch in loader:
                found.append(names(batch))
                if len(found) == count:
                    break
        return found

    whole = run(EventDataset(str(releases[3])).loader(size, 0, rank=0, world=1), 12)
    first = EventDataset(str(releases[3])).loader(size, before, rank=0, world=1)
    assert run(first, seen) == whole[:seen]
    state = pickle.loads(pickle.dumps(first.state_dict()))
    ranks = []
    for rank in range(world):
        loader = EventDataset(str(releases[3])).loader(size, after, rank=rank, world=world)
        loader.load_state_dict(state)
        ranks.append(run(loader, 12 - seen))
    assert [[key for own in batches for key in own] for batches in zip(*ranks, strict=True)] == whole[seen:]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_that_was_left_in_mid_epoch_goes_on_or_goes_back(releases, workers):
    loader = EventDataset(str(releases[3])).loader(8, workers)
    wanted = [names(batch) for batch in EventDataset(str(releases[3])).loader(8)]
    start = loader.state_dict()
    seen = [names(batch) for batch, _ in zip(loader, range(3), strict=False)]
    assert loader.state_dict()["batch"] == 4  # zip takes one that it drops
    assert seen + [wanted[3]] + [names(batch) for batch in loader] == wanted
    assert names(next(iter(loader))) != wanted[0]  # of the next epoch
    loader.load_state_dict(start)
    assert [names(batch) for batch in loader] == wanted


def test_a_state_of_another_plan_seed_or_batch_is_refused(releases):
    state = EventDataset(str(releases[3])).loader(8).state_dict()
    others = [
        EventDataset(str(releases[4])).loader(8),
        EventDataset(str(releases[3]), seed=1).loader(8),
        EventDataset(str(releases[3])).loader(16),
        EventDataset(str(releases[3])).loader(8, bucket=True),
        EventDataset(str(releases[3]), where="n_frames > 3").loader(8),
    ]
    for loader in others:
        with pytest.raises(OtherPlan, match="repeat some samples"):
            loader.load_state_dict(state)
    packed = EventDataset(str(releases[3])).loader(8, pack=12).state_dict()
    with pytest.raises(OtherPlan, match="lengths"):
        EventDataset(str(releases[3]), horizon=4).loader(8, pack=12).load_state_dict(packed)
    EventDataset(str(releases[3]), horizon=4).loader(8).load_state_dict(state)  # cut otherwise, in the same order


def test_a_stream_in_a_loader_of_ones_own_gives_the_same_batches(releases):
    dataset = EventDataset(str(releases[3]))
    wanted = [names(batch) for batch in dataset.loader(8)]
    for workers in (0, 3):
        stream = dataset.stream(8)
        stream.set_epoch(0)
        assert [names(batch) for batch in DataLoader(stream, batch_size=None, num_workers=workers)] == wanted
    stream = dataset.stream(8)
    passes = [[names(batch) for batch in stream] for _ in range(2)]
    assert passes[0] == wanted != passes[1]


@pytest.mark.parametrize("persistent", [False, True])
def test_passes_of_a_loader_of_ones_own_are_epochs_with_workers_too(releases, persistent):
    dataset = EventDataset(str(releases[3]))
    wanted = [[names(batch) for batch in loader] for loader in [dataset.loader(8)] for _ in range(3)]
    own = DataLoader(dataset.stream(8), batch_size=None, num_workers=2, persistent_workers=persistent)
    assert [[names(batch) for batch in own] for _ in range(3)] == wanted


def test_map_style_serves_any_sampler(releases):
    dataset = EventDataset(str(releases[3]))
    assert len(dataset) == EVENTS
    assert dataset[-1]["key"] == dataset[EVENTS - 1]["key"]
    with pytest.raises(IndexError):
        dataset[EVENTS]
    loader = DataLoader(dataset, batch_size=4, sampler=list(range(8)), collate_fn=list)
    assert [own["index"] for batch in loader for own in batch] == list(range(8))
    assert [own["key"] for own in dataset.__getitems__([5, 2])] == [dataset[5]["key"], dataset[2]["key"]]


def test_a_world_that_does_not_share_out_evenly_is_refused(releases):
    with pytest.raises(ValueError, match="does not part into 3"):
        EventDataset(str(releases[3])).loader(8, world=3, rank=0)
    with pytest.raises(ValueError, match="rank 3"):
        EventDataset(str(releases[3])).loader(9, world=3, rank=3)


def test_weights_say_how_often_an_event_comes(tmp_path):
    release = write_release(tmp_path, [[Event(n, 3, weight=w) for n, w in enumerate((1.0, 2.0, 0.5, 0.5, 0.0))]])
    loader = EventDataset(str(release)).loader(4)
    seen = [sorted(key[4:10] for batch in loader for key in names(batch)) for _ in range(2)]
    assert [own.count("000000") for own in seen] == [1, 1]
    assert [own.count("000001") for own in seen] == [2, 2]
    assert sorted(own.count("000002") + own.count("000003") for own in seen) == [1, 1]
    assert all("000004" not in own for own in seen)


def test_a_short_last_batch_is_filled_and_marked_or_left_out(releases):
    dataset = EventDataset(str(releases[1]))
    first, last = (list(dataset.loader(BATCH, rank=rank, world=2))[-1] for rank in (0, 1))
    assert last["row_is_pad"].tolist() == [False, False, True]  # 5 rows left: 3 and 2, and one again
    assert len(list(dataset.loader(BATCH, drop_last=True))) == EVENTS // BATCH
    assert last["key"][2] == first["key"][0]
