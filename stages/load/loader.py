"""Batches of an epoch, shared out among ranks and workers, and resumed where they stopped.

In: a dataset, the global batch. Out: `EventLoader`, which starts workers and knows how far it has come, and `Stream`,
the same batches as an IterableDataset for a loader of one's own (torchdata's StatefulDataLoader too). The sequence of
global batches is a function of the dataset's digest, seed and epoch; rank r of a world takes the r-th part of each, and
worker w of n each n-th batch of its rank: so all see the same samples whatever world and workers are.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from stages.load.collate import Batch, collate, packed
from stages.load.ordering.batches import Ints, Schedule, Wish, schedule, share

if TYPE_CHECKING:
    from stages.load.dataset import EventDataset
    from stages.load.reading.sample import Raw

MOST_WORKERS = 1024  # of a process, whose passes are counted
AHEAD = 2  # batches whose bytes are on their way while one is decoded, from elsewhere than the disk


class OtherPlan(ValueError):
    """A state that was saved of another plan, order or batch: going on from it would repeat and leave out samples."""


class Stream(IterableDataset[Batch]):  # type: ignore[misc]
    """Batches of this rank, from `epoch` and global batch `start` on; each pass over it is an epoch.

    global_batch: rows of a batch over all ranks. bucket: batches of samples of like length. pack: rows of so many
    frames that hold several events. by_layout: each batch is of one layout of arrays. drop_last: leave out a short
    last batch; else all ranks have as many rows of it, the missing ones repeated and marked in `row_is_pad`. shuffle:
    else in the plan's order. mixed_tars: so many tars are mixed at a time (None: all). rank, world: None: as
    torch.distributed, else RANK and WORLD_SIZE, say.
    """

    def __init__(
        self,
        dataset: EventDataset,
        global_batch: int,
        *,
        bucket: bool = False,
        pack: int = 0,
        by_layout: bool = False,
        drop_last: bool = False,
        shuffle: bool = True,
        mixed_tars: int | None = None,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        own_rank, own_world = _distributed()
        self.rank, self.world = own_rank if rank is None else rank, own_world if world is None else world
        if not 0 <= self.rank < self.world:
            raise ValueError(f"rank {self.rank} of a world of {self.world}")
        if global_batch < 1 or global_batch % self.world:
            raise ValueError(f"global_batch={global_batch} does not part into {self.world} ranks")
        if pack and dataset.mode != "event":
            raise ValueError("pack is of whole events: mode='event'")
        if pack < 0 or (pack and bucket):
            raise ValueError("pack is 1 frame or more, and goes without bucket")
        dataset.check_sizes()
        self.dataset, self.wish = dataset, Wish(global_batch, bucket, pack, drop_last)
        self.by_layout, self.shuffle, self.mixed_tars = by_layout, shuffle, mixed_tars
        # epoch, global batch that comes next, how often somebody has set them
        self.position = torch.zeros(3, dtype=torch.int64).share_memory_()
        self.ended = torch.zeros(MOST_WORKERS, dtype=torch.int64).share_memory_()  # by worker: which pass it has ended
        self._own: tuple[int, int, int] | None = None  # of this worker, where it goes on unless somebody sets that
        self._schedules: dict[int, Schedule] = {}

    # -- where it is ------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Schedules are worked out again where the copy goes."""
        return {**self.__dict__, "_schedules": {}}

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        self.position[0], self.position[1] = epoch, start
        self.position[2] += 1

    def _next(self) -> tuple[int, int, int]:
        """Epoch and batch that this stream, or this worker's copy of it, gives next, and how often they were set."""
        epoch, start, times = self.position.tolist()
        if self._own is not None and self._own[2] == times:
            return self._own
        worker = get_worker_info()
        return epoch, start + (worker.id if worker else 0), times

    def state_dict(self) -> dict[str, Any]:
        """Where this stream, or this worker's copy of it, goes on."""
        epoch, start, _ = self._next()
        return self.kind | {"epoch": epoch, "batch": start}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises OtherPlan."""
        self.check(state)
        epoch, start = int(state["epoch"]), int(state["batch"])
        if get_worker_info():  # the position is every worker's
            self._own = (epoch, start, int(self.position[2]))
        else:
            self.set_epoch(epoch, start)

    @property
    def kind(self) -> dict[str, Any]:
        """What the sequence of global batches depends on."""
        wish, cut = self.wish, self.dataset.cut
        return {
            "plan": self.dataset.digest,
            "seed": self.dataset.seed,
            "global_batch": wish.global_batch,
            # by which items are sorted and packed
            "lengths": [cut.history, cut.horizon] if wish.bucket or wish.pack else None,
            "order": [wish.bucket, wish.pack, wish.drop_last, self.by_layout, self.shuffle, self.mixed_tars],
        }

    def check(self, state: dict[str, Any]) -> None:
        """Raises OtherPlan where the state is of another sequence."""
        for key, value in self.kind.items():
            if state.get(key) != value:
                raise OtherPlan(
                    f"the state was saved with {key}={state.get(key)!r}, this loader has {value!r}: going on would "
                    "repeat some samples and leave out others. Open the same release with the same settings, or start "
                    "anew"
                )

    # -- batches ----------------------------------------------------------------------------------------------------

    def schedule(self, epoch: int) -> Schedule:
        """The global batches of an epoch."""
        if epoch not in self._schedules:
            own = self.dataset
            order = own.order(epoch, self.shuffle, self.mixed_tars)
            lengths = own.lengths if self.wish.bucket or self.wish.pack else np.zeros(0, dtype=np.int64)
            groups = own.groups if self.by_layout else None
            self._schedules = {epoch: schedule(order, lengths, groups, self.wish, (own.digest, own.seed, epoch))}
        return self._schedules[epoch]

    def __len__(self) -> int:
        """Batches of the whole epoch."""
        return len(self.schedule(int(self.position[0])))

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        epoch, start, times = self._next()
        plan = self.schedule(epoch)
        wanted = range(start, len(plan), workers)
        for own, batch in zip(wanted, self._made(plan, wanted), strict=True):
            self._goes_on(epoch, own + workers, times)
            yield batch
        self._goes_on(epoch + 1, number, times)
        if worker and number < MOST_WORKERS:
            self._done(epoch, times, worker.seed - worker.id, number, workers)

    def _done(self, epoch: int, times: int, of: int, number: int, workers: int) -> None:
        """The last worker to end a pass sets the next epoch, for workers that are started anew. of: a number that is
        another one for each such start."""
        self.ended[number] = of
        if bool((self.ended[:workers] == of).all()) and [self.position[0], self.position[2]] == [epoch, times]:
            self.position[0], self.position[1] = epoch + 1, 0

    def _goes_on(self, epoch: int, start: int, times: int) -> None:
        if get_worker_info():
            self._own = (epoch, start, times)
        else:
            self.position[0], self.position[1] = epoch, start

    def _made(self, plan: Schedule, wanted: Iterable[int]) -> Iterator[Batch]:
        """The batches of these numbers; what is in each is worked out when its turn comes."""
        dataset = self.dataset
        shares = (share(plan.batch(n), self.rank, self.world, self.wish.global_batch) for n in wanted)
        asked = ((rows, missing, dataset.places(np.concatenate(rows))) for rows, missing in shares)
        if all(folder.is_local for folder in dataset.release.folders):
            for rows, missing, places in asked:
                yield self._batch(rows, missing, places, dataset.fetch(places))
            return
        with ThreadPoolExecutor(AHEAD) as pool:
            coming = deque((*one, pool.submit(dataset.fetch, one[2])) for one in islice(asked, AHEAD))
            while coming:
                rows, missing, places, raws = coming.popleft()
                fetched = raws.result()
                coming.extend((*one, pool.submit(dataset.fetch, one[2])) for one in islice(asked, 1))
                yield self._batch(rows, missing, places, fetched)

    def _batch(
        self, rows: Sequence[Ints], missing: int, places: Sequence[tuple[int, int]], raws: Sequence[Raw]
    ) -> Batch:
        of = [n for n, row in enumerate(rows) for _ in row]
        items, canvas = self.dataset.made(places, raws, of, self.wish.pack)
        pictures = {} if canvas is None else {f"video.{n}": v.permute(0, 1, 4, 2, 3) for n, v in canvas.tensors.items()}
        items = [{name: value for name, value in own.items() if name not in pictures} for own in items]
        if self.wish.pack:
            ends = np.cumsum([len(row) for row in rows])
            held = [items[end - len(row) : end] for row, end in zip(rows, ends, strict=True)]
            batch = packed(held, self.wish.pack)
        else:
            batch = collate(items)
        return batch | pictures | {"row_is_pad": torch.arange(len(rows)) >= len(rows) - missing}


class EventLoader:
    """Iterating gives the batches of this rank to the end of the epoch, and the next time the next epoch; workers:
    processes that read and decode, which live from epoch to epoch. `state_dict` after a batch, and `load_state_dict`
    into a loader of the same dataset (of any world and number of workers), go on with exactly the batches that would
    have come. settings: of `Stream`."""

    def __init__(
        self,
        dataset: EventDataset,
        global_batch: int,
        workers: int = 0,
        *,
        prefetch: int = 2,
        pin_memory: bool = False,
        start_method: str | None = None,
        **settings: Any,
    ) -> None:
        self.stream = Stream(dataset, global_batch, **settings)
        self.epoch = self.batch = 0
        extra: dict[str, Any] = {"prefetch_factor": prefetch, "persistent_workers": True} if workers else {}
        extra |= {"multiprocessing_context": start_method} if workers and start_method else {}
        self._loader = DataLoader(self.stream, batch_size=None, num_workers=workers, pin_memory=pin_memory, **extra)

    def __len__(self) -> int:
        """Batches left in the epoch."""
        return len(self.stream.schedule(self.epoch)) - self.batch

    def __iter__(self) -> Iterator[Batch]:
        self.stream.set_epoch(self.epoch, self.batch)
        epoch = self.epoch
        for batch in self._loader:
            self.epoch, self.batch = epoch, self.batch + 1
            yield batch
        self.epoch, self.batch = epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        return self.stream.kind | {"epoch": self.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises OtherPlan."""
        self.stream.check(state)
        self.epoch, self.batch = int(state["epoch"]), int(state["batch"])


def _distributed() -> tuple[int, int]:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
