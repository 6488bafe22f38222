"""plan.npz: what is written is read back, and plans of several tars become one."""

import io

import numpy as np
import pytest

from schemas.plan import CLIPS, CODED, NUMBERS, NotAPlan, build, concatenate, from_bytes, to_bytes


def row(**given):
    texts = dict.fromkeys(CODED, "") | {"level": "L1", "episode": "kitchen/000003"}
    zeros = {name: np.zeros(shape, dtype=kind) for name, (kind, shape) in NUMBERS.items()}
    return texts | zeros | {"n_frames": 3, "fps": 10.0, "clips": {}, "pictures": {}} | given


def test_a_plan_is_read_back_as_it_was_written():
    plan = build([row(start_ms=4250, task="lift é", clips={"top": (512, 9)}), row(task="put")], ["top", "wrist"])
    found = from_bytes(to_bytes(plan))
    assert to_bytes(plan) == to_bytes(found)
    assert (found.event_id(0), found.key(0)) == ("kitchen/000003/L1/0004250", "kitchen-000003-L1-0004250")
    assert list(found.text("task")) == ["lift é", "put"]
    assert found.numbers[CLIPS].tolist() == [[[512, 9], [0, 0]], [[0, 0], [0, 0]]]


def test_plans_of_tars_with_other_names_become_one():
    one = build([row(task="put", clips={"top": (1, 2)})], ["top"])
    two = build([row(task="lift", clips={"left": (3, 4)}), row(task="put")], ["left"])
    both = concatenate([one, two])
    assert list(both.text("task")) == ["put", "lift", "put"]
    assert both.names["cameras"] == ["left", "top"]
    assert both.numbers[CLIPS].tolist() == [[[0, 0], [1, 2]], [[3, 4], [0, 0]], [[0, 0], [0, 0]]]
    assert list(both.take(np.array([2, 1])).text("task")) == ["put", "lift"]
    assert len(concatenate([])) == 0


def test_what_is_no_plan_is_refused():
    later = dict(np.load(io.BytesIO(to_bytes(build([row()], [])))))
    sink = io.BytesIO()
    np.savez(sink, **{**later, "version": np.array(99)})
    for data in (b"", b"PK\x03\x04junk", to_bytes(build([row()], []))[:-40], sink.getvalue()):
        with pytest.raises(NotAPlan):
            from_bytes(data)
