"""What an item holds, worked out by hand: rows, masks, normalised columns, pictures, texts, other trainers' keys."""

import json

import numpy as np
import pytest
import torch

from schemas import plan as plans
from stages.load import DamagedSample, EventDataset, NotARelease
from stages.load.vector import Vector
from tests.load.releases import Event, write_release

SPANS = {"L1": [{"start": 0, "end": 4, "primitive": "reach", "caption": "reaches"},
                {"start": 4, "end": 9, "primitive": "lift", "caption": "lifts"}]}  # fmt: skip


def rounded(values: torch.Tensor) -> list[float]:
    """The first column, thousandths."""
    return [round(1000 * v) for v in values.reshape(-1, values.shape[-1])[:, 0].tolist()]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """An event of 6 frames with 3 before and 2 after, one of 9 frames that holds finer ones, one of another robot."""
    events = [
        Event(1, 6, before=3, after=2, cameras={"top": (48, 64), "wrist": (32, 32)}),
        Event(2, 9, cameras={"top": (48, 64)}, spans=SPANS, level="L2", task="wipe"),
        Event(3, 4, width=3, robot="other", cameras={"top": (48, 64)}),
    ]
    return write_release(tmp_path_factory.mktemp("items"), [events[:2], events[2:]])


def by_key(dataset, number: int):
    """The first item of an event."""
    return next(own for own in (dataset[n] for n in range(len(dataset))) if own["key"].startswith(f"lab-{number:06d}"))


@pytest.mark.parametrize(
    ("settings", "rows", "pictures"),
    [
        ({}, [3, 4, 5, 6, 7, 8], [0, 1, 2, 3, 4, 5]),
        ({"history": 2}, [1, 2, 3, 4, 5, 6, 7, 8], [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"history": 9}, [0, 1, 2, 3, 4, 5, 6, 7, 8], list(range(9))),
        ({"horizon": 4}, [3, 4, 5, 6], [0, 1, 2, 3]),
        ({"frames": 3}, [3, 4, 5, 6, 7, 8], [0, 3, 5]),  # 3, 5.5, 8; halves to the even one
        ({"frames": 2, "history": 1}, [2, 3, 4, 5, 6, 7, 8], [1, 6]),
        ({"stride": 2}, [3, 4, 5, 6, 7, 8], [0, 2, 4]),
    ],
)
def test_an_event_has_its_own_rows_history_before_it_and_pictures_in_step(release, settings, rows, pictures):
    own = by_key(EventDataset(str(release), where="episode = 'lab/000001'", **settings), 1)
    assert rounded(own["state"]) == [1000 + r for r in rows]
    assert rounded(own["action"]) == [-1000 - r for r in rows]
    assert own["event"].tolist() == [3 <= r < 9 for r in rows]
    assert own["video_frame"].tolist() == pictures
    grey = own["video.top"].float().mean(dim=(1, 2, 3))
    assert (grey / 8).round().int().tolist() == [rows[0] + p for p in pictures]
    assert own["frame"] == 10 - 3 + rows[0]


def test_a_window_ends_where_the_context_ends_and_is_marked(release):
    dataset = EventDataset(
        str(release), mode="chunk", history=4, horizon=5, frames=(-4, 0, 3), where="episode = 'lab/000001'"
    )
    assert len(dataset) == 6
    first, last = dataset[0], dataset[5]  # anchors: rows 3 and 8 of 11
    assert rounded(first["state"]) == [1000, 1000, 1001, 1002, 1003]
    assert first["state_is_pad"].tolist() == [True, False, False, False, False]
    assert rounded(first["action"]) == [-1003, -1004, -1005, -1006, -1007]
    assert not first["action_is_pad"].any()
    assert rounded(last["action"]) == [-1008, -1009, -1010, -1010, -1010]
    assert last["action_is_pad"].tolist() == [False, False, False, True, True]
    assert last["video_frame"].tolist() == [-4, 0, 2]
    assert last["video_is_pad"].tolist() == [False, False, True]
    assert (last["video.wrist"].float().mean(dim=(1, 2, 3)) / 8).round().int().tolist() == [4, 8, 10]


def test_captions_of_a_window_are_those_of_the_span_it_lies_in(release):
    dataset = EventDataset(str(release), mode="chunk", caption="L1", where="level = 'L2'", frames=0)
    said = [
        (own["caption"], own["next_caption"], round(own["event_remaining_s"], 3)) for own in (dataset[3], dataset[4])
    ]
    assert said == [("reaches", "lifts", 0.1), ("lifts", "", 0.5)]
    assert round(dataset[4]["remaining_s"], 3) == 8.6  # 9 s from the event's start
    assert EventDataset(str(release), caption="L3", frames=0)[0]["caption"] == "the task"


def test_robots_that_are_not_alike_are_padded_and_masked(release):
    batch = next(iter(EventDataset(str(release), size=(16, 16)).loader(3, shuffle=False)))
    assert batch["state"].shape == (3, 9, 3)
    assert batch["state_mask"].tolist() == [[True, True, False], [True, True, False], [True, True, True]]
    assert batch["length"].tolist() == [6, 9, 4]
    assert batch["is_pad"].sum(dim=1).tolist() == [3, 0, 5]
    assert batch["video_mask.wrist"].tolist() == [True, False, False]
    assert batch["video.wrist"].shape == (3, 9, 3, 16, 16)
    assert int(batch["video.wrist"][1:].sum()) == 0


def test_one_layout_at_a_time(release):
    for batch in EventDataset(str(release), frames=0).loader(2, by_layout=True):
        assert len(set(batch["layout"])) == 1


def test_packed_events_do_not_see_each_other(release):
    batch = next(iter(EventDataset(str(release), size=(16, 16), frames=2).loader(2, pack=14, shuffle=False)))
    assert batch["segment"].tolist() == [[1] * 9 + [2] * 4 + [0], [1] * 6 + [0] * 8]
    assert batch["position"][0].tolist() == [*range(9), *range(4), 0]
    assert batch["state_mask"][0, 8].tolist() == [True, True, False]
    assert batch["state_mask"][0, 9].tolist() == [True, True, True]
    assert rounded(batch["state"][0])[7:11] == [2007, 2008, 3000, 3001]
    assert batch["video_segment"][0].tolist() == [1, 1, 2, 2]
    assert batch["video_frame"][0].tolist() == [0, 8, 9, 12]
    assert batch["caption"] == [["event 2", "event 3"], ["event 1"]]
    cut = next(iter(EventDataset(str(release), size=(16, 16)).loader(3, pack=5, shuffle=False)))
    assert cut["segment"].tolist() == [[1] * 5, [1] * 5, [1] * 4 + [0]]
    assert cut["video_frame"].shape == (3, 5)


@pytest.mark.parametrize(("normalise", "of_one"), [("mean_std", (1 - 20) / 2), ("min_max", 1 / 4), ("quantile", 1 / 2)])
def test_columns_are_normalised_by_the_statistics_of_their_layout(release, normalise, of_one):
    dataset = EventDataset(str(release), frames=0, normalise=normalise)
    own = by_key(dataset, 1)
    assert own["state"][0, 0].item() == pytest.approx(of_one + 0.003 / (2 if normalise == "mean_std" else 4), abs=2e-3)
    assert own["state"][:, 2].abs().max() == 0  # a column that the robot does not have
    back = dataset.unnormalise("state", own["state"], own["layout"])
    assert rounded(back) == [1003, 1004, 1005, 1006, 1007, 1008]
    if normalise == "mean_std":
        assert by_key(dataset, 3)["state"][0, 2].item() == pytest.approx((3 - 30) / 2)


def test_lerobots_keys_and_meta(release):
    dataset = EventDataset(
        str(release), layout="lerobot", cameras=["top"], horizon=4, where="robot = 'arm'", normalise="mean_std"
    )
    own = dataset[5]  # the last frame of the first event, row 8
    assert own["observation.images.top"].shape == (3, 48, 64)
    assert own["observation.images.top"].dtype == torch.float32
    assert round(own["observation.images.top"].mean().item() * 255 / 8) == 8
    assert own["observation.state"].shape == (2,)
    assert own["action"].shape == (4, 2)
    assert own["action_is_pad"].tolist() == [False, False, False, True]
    assert {k: int(own[k]) for k in ("index", "episode_index", "frame_index")} == {
        "index": 5, "episode_index": 0, "frame_index": 15}  # fmt: skip
    assert own["timestamp"].item() == pytest.approx(1.5)
    assert own["task"] == "lift the cup"
    meta = dataset.meta
    assert meta.fps == 10
    assert meta.features["observation.images.top"]["shape"] == (48, 64, 3)
    assert meta.features["action"] == {"dtype": "float32", "shape": (2,), "names": ["j0", "j1"]}
    assert meta.camera_keys == ["observation.images.top"]
    assert meta.episodes == {"dataset_from_index": [0, 6], "dataset_to_index": [6, 15]}
    assert meta.stats["action"]["mean"].tolist() == [0, 0]  # what is normalised already
    assert meta.stats["action"]["std"].tolist() == [1, 1]
    assert meta.tasks[int(dataset[8]["task_index"])] == "wipe"
    assert EventDataset(str(release), layout="lerobot", cameras=[]).meta.stats["action"]["mean"].tolist() == [
        25,
        25,
        30,
    ]


def test_what_a_diffusion_policy_asks_for(release):
    dataset = EventDataset(
        str(release), layout="lerobot", history=1, frames=2, lead=-1, horizon=4, cameras=["top"], where="level = 'L2'"
    )
    own = dataset[0]
    assert rounded(own["observation.state"]) == [2000, 2000]
    assert rounded(own["action"]) == [-2000, -2000, -2001, -2002]
    assert own["action_is_pad"].tolist() == [True, False, False, False]
    assert own["observation.images.top"].shape == (2, 3, 48, 64)


def test_openpis_keys(release):
    dataset = EventDataset(
        str(release), layout="openpi", state_dim=8, action_dim=8, horizon=3, text="caption", size=(24, 32),
        cameras={"base_0_rgb": ["front", "top"], "left_wrist_0_rgb": "wrist"},
    )  # fmt: skip
    batch = next(iter(dataset.loader(4, shuffle=False)))
    assert batch["image"]["base_0_rgb"].shape == (4, 24, 32, 3)
    assert batch["image_mask"]["left_wrist_0_rgb"].tolist() == [True] * 4
    assert dataset[12]["image_mask"]["left_wrist_0_rgb"] == np.False_
    assert batch["state"].shape == (4, 8)
    assert batch["actions"].shape == (4, 3, 8)
    assert batch["prompt"] == ["event 1"] * 4


def test_what_cannot_be_is_refused_in_words(release):
    cases = [
        ({"layout": "hdf5"}, "choose one of event, lerobot, openpi"),
        ({"cameras": ["front"]}, "no sample has a camera front; there are top, wrist"),
        ({"action": "joints.left"}, "no sample has an array 'joints.left'; there are action, state"),
        ({"where": "colour = 'red'"}, "columns are key, event_id, tar, episode"),
        ({"where": "n_frames > 99"}, "no sample of split 'train' where n_frames > 99; the release has 3"),
        ({"split": "val"}, "no sample of split 'val'"),
        ({"normalise": "log"}, "choose one of none, mean_std"),
        ({"action_dim": 1}, "3 columns do not fit into 1"),
        ({"alpha": 2}, "from 0"),
        ({"layout": "lerobot", "mode": "event"}, "is of windows"),
        ({"frames": (0, 1)}, "offsets are of mode='chunk'"),
        ({"horizon": 0}, "1 or more"),
        ({"frames": -1}, "0 or more"),
        ({"size": (0, 4)}, "1 or more"),
        ({"where": "1) UNION SELECT (9999"}, "columns are key"),
    ]
    for settings, words in cases:
        with pytest.raises(ValueError, match=words.replace("(", r"\(")):
            EventDataset(str(release), **settings)


def test_what_only_val_is_laid_out_like_has_nothing_to_be_normalised_by(tmp_path):
    events = [Event(1, 3), Event(2, 3, width=3, split="val")]
    own = write_release(tmp_path, [events[:1], events[1:]], ["train", "val"])
    figures = json.loads((own / "stats.json").read_text())
    del figures["layouts"]["w3"]
    (own / "stats.json").write_text(json.dumps(figures))
    assert EventDataset(own, normalise="mean_std")[0]["state"].shape == (3, 3)
    with pytest.raises(ValueError, match="nothing in the train tars is laid out like lab"):
        EventDataset(own, normalise="mean_std", split="val")
    assert EventDataset(own, split="val")[0]["state"].shape == (3, 3)


def test_values_that_are_none_are_0_and_marked():
    vector = Vector("state", ("state",), (2,), 2)
    arrays = {"state": np.array([[1, 2], [np.nan, 3], [-np.inf, np.inf]]), "valid": np.ones(3, dtype=bool)}
    values, mask, valid = vector.of(arrays, np.arange(3))
    assert values.tolist() == [[1, 2], [0, 3], [0, 0]]
    assert mask.all()
    assert valid.tolist() == [True, False, False]


def test_pictures_of_several_sizes_ask_for_one(tmp_path):
    events = [Event(1, 2, cameras={"top": (48, 64)}), Event(2, 2, cameras={"top": (32, 32)})]
    dataset = EventDataset(str(write_release(tmp_path, [events])))
    with pytest.raises(ValueError, match="give size=") as raised:
        dataset.loader(2)
    assert "48x64" in str(raised.value)
    assert dataset[0]["video.top"].shape == (2, 3, 48, 64)


def test_where_reads_sql_over_the_plan(release):
    def chosen(where):
        own = EventDataset(str(release), frames=0, where=where)
        return [own[n]["key"][4:10] for n in range(len(own))]

    assert chosen("task LIKE '%cup%' AND n_frames > 5") == ["000001"]
    assert chosen("key = 'lab-000002-L2-0001000'") == ["000002"]
    assert chosen("robot <> 'arm' OR level = 'L2'") == ["000002", "000003"]


def test_a_sample_that_is_not_what_the_plan_says_is_named(release, tmp_path):
    own = write_release(tmp_path, [[Event(1, 6, cameras={"top": (48, 64)})]])
    tar = own / "train-000000.tar"
    data = bytearray(tar.read_bytes())
    place = data.index(b"mdat") + 4
    data[place : place + 400] = bytes(400)
    tar.write_bytes(data)
    with pytest.raises(DamagedSample, match=r"train-000000.tar: lab-000001-L1-0001000.top.mp4"):
        EventDataset(str(own))[0]


def test_a_picture_that_the_decoder_painted_over_is_no_picture(tmp_path):
    own = write_release(tmp_path, [[Event(1, 20, cameras={"top": (48, 64)})]])
    tar = own / "train-000000.tar"
    whole, refused = tar.read_bytes(), 0
    first = EventDataset(str(own)).release.plan.numbers["clips"][0, 0]
    start, end = whole.index(b"mdat") + 900, int(first.sum())
    for place in range(start, end, 7):
        data = bytearray(whole)
        data[place] ^= 255
        tar.write_bytes(data)
        try:
            EventDataset(str(own))[0]
        except DamagedSample:
            refused += 1
    assert refused


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("lowdim", -5, "row 0"),
        ("tar", 9, "codes beyond its 1 names"),
        ("task", -1, "codes beyond"),
        ("before", 50, "row 0"),
        ("fps", 0, "row 0"),
        ("weight", np.inf, "row 0"),
        ("n_frames", np.zeros(3, dtype=np.int32), "column n_frames"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(tmp_path, column, value, words):
    own = write_release(tmp_path, [[Event(1, 6), Event(2, 6)]])
    plan = plans.from_bytes((own / "plan.npz").read_bytes())
    if np.ndim(value):
        plan.numbers[column] = value
    else:
        plan.numbers[column][:] = value
    (own / "plan.npz").write_bytes(plans.to_bytes(plan))
    with pytest.raises(NotARelease, match=words):
        EventDataset(str(own))


def test_a_plan_of_another_release_whose_tars_are_called_alike_is_told(tmp_path):
    one = write_release(tmp_path / "one", [[Event(n, 6) for n in (1, 2)]])
    two = write_release(tmp_path / "two", [[Event(n, 6) for n in (3, 4)]])
    dataset = EventDataset(str(two), plan=str(one / "plan.npz"))
    with pytest.raises(DamagedSample, match="is the plan of this release"):
        dataset[0]


def test_val_has_the_columns_and_pictures_that_train_has(tmp_path):
    train = [Event(1, 4, width=3, cameras={"top": (32, 48), "wrist": (32, 32)}), Event(2, 4, cameras={"top": (32, 48)})]
    val = [Event(3, 4, split="val", cameras={"top": (32, 48)})]
    own = write_release(tmp_path, [train, val], ["train", "val"])
    one, two = (next(iter(EventDataset(str(own), split=split).loader(1))) for split in ("train", "val"))
    for name in ("state", "action", "video.top", "video.wrist"):
        assert one[name].shape == two[name].shape
    assert two["state_mask"].tolist() == [[True, True, False]]
    narrow = next(iter(EventDataset(str(own), split="val", where="layout = 'w2'").loader(1)))
    assert narrow["state"].shape == (1, 4, 2)


def test_events_of_two_corpora_that_are_called_alike_are_both_balanced(tmp_path):
    urls = [str(write_release(tmp_path / name, [[Event(n, 4, clusters=(n, n)) for n in (1, 2)]])) for name in "ab"]
    dataset = EventDataset(urls, alpha=0.5, frames=0)
    assert len(dataset) == 4
    assert dataset.weight.tolist() == [1, 1, 1, 1]
