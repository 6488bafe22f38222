"""The profile of last resort: a layout told from names, units and physics.

In: a dataset, a bounded probe of it, which columns are its state and action. Out: a `Guess`: the layout, and of each
thing in it how sure that is, and why. What is less sure than `certainty` is not used as if it were known: a gripper of
which nobody can tell which end is closed becomes a `hand`, values in a unit that cannot be told stay `raw`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stages.ingest.inference.arms import Finding, arms_of, flips, of_arm, told_arms
from stages.ingest.inference.hands import Ends, Hand, command_of, hand_of
from stages.ingest.inference.names import ENDS, GRIPPER, Named, named
from stages.ingest.inference.polarity import Episode, polarity
from stages.ingest.inference.units import unit_of
from stages.ingest.probe import Probe
from stages.ingest.roles import ASIDE, COUNTERS
from stages.ingest.streams import MOTION, Arm, Kind, Layout, Stream
from stages.sources.protocol import Dataset

Float = npt.NDArray[np.float64]
Places = tuple[tuple[str, int], ...]
JOINTED = 5  # joints beside x, y, z in one column
IDLE = 0.3  # of the way of the arm that moves most, below which another one rests


@dataclass(frozen=True, slots=True)
class Guess:
    """A layout and what it rests on."""

    layout: Layout
    findings: tuple[Finding, ...]


def infer(
    dataset: Dataset, probe: Probe, state: tuple[str, ...], action: tuple[str, ...], certainty: float
) -> Guess | None:
    """None where nothing moves."""
    findings: list[Finding] = []
    measured, told = _values(dataset, state, action)
    arms = arms_of(measured or told, probe, findings)
    streams: list[Stream] = []
    ways = {arm: _way(_position(own, probe) or _joints(own, set(), probe), probe) for arm, own in arms.items()}
    hands = {arm: _way(hand.places if (hand := hand_of(own, probe)) else (), probe) for arm, own in arms.items()}
    for arm, own in arms.items():
        works = all(by[arm] >= IDLE * max(by.values()) for by in (ways, hands))
        commands = of_arm(told, arm, list(arms))
        streams += _one_arm(arm, own, commands, works, dataset, probe, certainty, findings)
    if not any(s.kind in MOTION for s in streams):
        streams = [s for s in streams if s.kind not in MOTION] + _commanded(told, probe, findings)
    if not any(s.kind in MOTION for s in streams):
        return None
    layout = Layout(profile="inferred", inferred=True, state=state, action=action, streams=tuple(streams))
    return Guess(layout, tuple(findings))


def with_grippers(layout: Layout, dataset: Dataset, probe: Probe, certainty: float) -> Guess:
    """A profile's layout; where it claims no gripper of an arm, one that is told by its name and by physics."""
    findings: list[Finding] = []
    lacking = [a for a in layout.arms if not any(s.arm == a and s.kind == "gripper" for s in layout.streams)]
    if not lacking:
        return Guess(layout, ())
    measured, told = _values(dataset, layout.state, layout.action)
    streams = list(layout.streams)
    paths = {a: next((s.places for s in layout.streams if s.arm == a and s.kind in MOTION), ()) for a in layout.arms}
    most = max(_way(places, probe) for places in paths.values())
    for arm in lacking:
        own = of_arm(measured, arm, layout.arms)
        commands = of_arm(told, arm, layout.arms)
        hand = hand_of(own, probe) or hand_of([v for v in commands if v.role == "gripper"], probe)
        path = paths[arm] if _way(paths[arm], probe) >= IDLE * most else ()
        if hand is not None:
            streams += _gripper(arm, hand, own, commands, path, probe, certainty, findings)
    return Guess(layout.model_copy(update={"streams": tuple(streams)}), tuple(findings))


def _way(places: Places, probe: Probe) -> float:
    """The largest range of a value, in its own unit."""
    return max((ends[1] - ends[0] for p in places if (ends := probe.range_of(*p)) is not None), default=0.0)


def _values(dataset: Dataset, state: Sequence[str], action: Sequence[str]) -> tuple[list[Named], list[Named]]:
    """(what is measured, what is told): the values of the state and of other columns that measure something; of the
    action."""
    features = {f.column: f for f in dataset.features if f.width and f.column not in COUNTERS}
    beside = [c for c in features if c not in (*state, *action) and not ASIDE.search(c.casefold())]
    measured = [c for c in (*state, *(c for c in beside if c.startswith("observation"))) if c in features]

    def values(columns: Sequence[str]) -> list[Named]:
        return told_arms([n for c in columns for n in named(features[c], dataset.modality.get(c))])

    return values(measured), values([c for c in action if c in features])


def _one_arm(
    arm: Arm,
    own: Sequence[Named],
    commands: Sequence[Named],
    works: bool,
    dataset: Dataset,
    probe: Probe,
    certainty: float,
    findings: list[Finding],
) -> list[Stream]:
    """works: it, and its hand, move far enough beside the other arm for what they do to say something."""
    hand = hand_of(own, probe) or hand_of([v for v in commands if v.role == "gripper"], probe)
    if hand is None:
        nameless = _last_that_flips(own, probe) or _last_that_flips(commands, probe)
        hand = Hand((nameless.place,), (False,)) if nameless is not None else None
    taken = set(hand.places) if hand is not None else set()
    position = _position(own, probe)
    turned, form = _orientation(own, probe) if position else ((), "")
    joints = _joints(own, taken, probe)
    streams = []
    for kind, places in (("position", position), ("joints", joints)):
        if places:
            unit, why = unit_of(kind, places, dataset, probe)
            streams.append(Stream(kind=kind, arm=arm, places=places, unit=unit, guessed=True))
            findings.append(Finding(f"{kind} of arm {arm}: {streams[-1].origin} in {unit}", _sure_of(unit), (why,)))
    if turned:
        streams.append(Stream(kind="orientation", arm=arm, places=turned, unit=form))
    if hand is None:
        still = [v for v in own if v.role == "gripper"]
        unnamed = "no name tells one, and no value goes to and fro between two levels"
        why = "it never moves in the episodes looked at" if still else unnamed
        findings.append(Finding(f"no gripper of arm {arm}", 0.5, (why,)))
        return streams
    path = position or joints or tuple(v.place for v in commands if v.place not in taken)
    path = path if works else ()
    return streams + _gripper(arm, hand, own, commands, path, probe, certainty, findings)


def _sure_of(unit: str) -> float:
    return 0.5 if unit == "raw" else 0.9


def _gripper(
    arm: Arm,
    hand: Hand,
    own: Sequence[Named],
    commands: Sequence[Named],
    path: Places,
    probe: Probe,
    certainty: float,
    findings: list[Finding],
) -> list[Stream]:
    """The gripper and its command where it is sure which end is closed, else a hand."""
    told = command_of(hand, own, commands, probe)
    command = Hand(told, hand.against) if told else None
    seen, opposed = _seen(hand, command, path, [v for v in own if v.role == "force"], probe)
    words = next((v.words for v in (*own, *commands) if v.place in hand.places), ())
    verdict = polarity(seen, hand.reach(probe), words)
    sure = max(verdict.high_is_open, 1.0 - verdict.high_is_open)
    known, high = sure >= certainty, verdict.high_is_open >= 0.5
    which = ("larger" if high else "smaller") if known else "nobody can tell which"
    streams = [_ranged("gripper" if known else "hand", arm, hand, high or not known, probe)]
    if known and command is not None:
        streams.append(_ranged("gripper_command", arm, command, high != opposed, probe))
    findings.append(Finding(f"gripper of arm {arm}: {streams[0].origin}, {which} value is open", sure, verdict.because))
    return streams


def _ranged(kind: Kind, arm: Arm, hand: Hand, high_is_open: bool, probe: Probe) -> Stream:
    ends = [e for e in hand.ranges(probe) if e is not None]
    up = [(high, low) if turned else (low, high) for (low, high), turned in zip(ends, hand.against, strict=True)]
    tops, bottoms = tuple(b for _, b in up), tuple(a for a, _ in up)
    opened, closed = (tops, bottoms) if high_is_open else (bottoms, tops)
    return Stream(kind=kind, arm=arm, places=hand.places, unit="1", open=opened, closed=closed, guessed=True)


def _opposed(seen: Sequence[Episode]) -> bool:
    """Whether the command falls where the gripper rises."""
    return sum(float(np.cov(e.command, e.grip)[0, 1]) for e in seen if e.command is not None) < 0


def _seen(
    hand: Hand, command: Hand | None, path: Places, forces: Sequence[Named], probe: Probe
) -> tuple[list[Episode], bool]:
    """(episodes as `polarity` wants them, whether the command falls where the gripper rises): the command on the
    gripper's scale where it is in the same unit, and turned round where it goes the other way."""
    own = tuple(p for p in path if p not in hand.places)
    effort = [v for v in forces if GRIPPER & set(v.words)]
    wanted = [*hand.places, *(command.places if command else ()), *own, *(v.place for v in effort)]
    ranges, found = hand.ranges(probe), []
    for time, values in probe.together(dict.fromkeys(c for c, _ in wanted)):
        grip = hand.share(values, ranges)
        if grip is None or len(time) < 3:
            continue
        told = command.share(values, _told_ranges(ranges, command.ranges(probe))) if command else None
        path_of = [_scaled(values[c][:, i], probe.range_of(c, i)) for c, i in own]
        push = values[effort[0].column][:, effort[0].index] if len(effort) == 1 else None
        found.append(Episode(time, grip, np.stack(path_of, axis=1) if own else np.zeros((len(time), 0)), told, push))
    opposed = _opposed(found)
    if opposed:
        found = [replace(e, command=1.0 - e.command) if e.command is not None else e for e in found]
    return found, opposed


def _told_ranges(measured: Ends, told: Ends) -> Ends:
    """The range of what is measured, where a command looks like one in the same unit; else its own."""
    alike = all(
        m is not None
        and t is not None
        and t[0] > m[0] - 0.6 * (m[1] - m[0])
        and t[1] < m[1] + 0.6 * (m[1] - m[0])
        and t[1] - t[0] > 0.5 * (m[1] - m[0])
        for m, t in zip(measured, told, strict=True)
    )
    return measured if alike else told


def _scaled(values: Float, ends: tuple[float, float] | None) -> Float:
    return np.zeros(len(values)) if ends is None else (values - ends[0]) / (ends[1] - ends[0])


def _position(own: Sequence[Named], probe: Probe) -> Places:
    """x, y, z side by side in one column. Where joints lie beside them and no name says that they are an arm's end they
    may be a base's."""
    columns: dict[str, list[Named]] = {}
    for value in own:
        columns.setdefault(value.column, []).append(value)
    for beside in columns.values():
        values = [v for v in beside if v.role == "position"]
        found = _side_by_side(values, ("x", "y", "z")) or (values if len(values) == 3 and not values[0].own else [])
        joints = sum(v.role == "joint" for v in beside)
        if not found or (joints >= JOINTED and not set(found[0].words) & ENDS):
            continue
        if sum(probe.range_of(*v.place) is not None for v in found) >= 2:
            return tuple(v.place for v in found)
    return ()


def _side_by_side(values: Sequence[Named], names: Sequence[str]) -> list[Named]:
    """The first value of each name, in this order, where they lie next to each other; else none."""
    first = {name: next((v for v in values if name in v.own), None) for name in names}
    found = [v for v in first.values() if v is not None]
    places = sorted(v.index for v in found)
    together = len(found) == len(names) and places[-1] - places[0] == len(names) - 1
    return found if together and len({v.column for v in found}) == 1 else []


def _orientation(own: Sequence[Named], probe: Probe) -> tuple[Places, str]:
    """(places, form): a quaternion, or angles about x, y and z, in rad where they reach no further than a turn; what
    rx, ry, rz are (angles, a rotation vector) no name says."""
    values = [v for v in own if v.role == "orientation"]
    for names in (("qx", "qy", "qz", "qw"), ("roll", "pitch", "yaw"), ("rx", "ry", "rz")):
        found = tuple(v.place for v in _side_by_side(values, names))
        if found:
            ends = [e for e in (probe.range_of(*p) for p in found) if e is not None]
            turned = max((max(abs(a), abs(b)) for a, b in ends), default=0.0) <= 1.05 * math.tau
            forms = {"qx": "quaternion xyzw", "roll": "rad xyz" if turned else "raw", "rx": "raw"}
            return found, forms[names[0]]
    return (), ""


def _joints(own: Sequence[Named], taken: set[tuple[str, int]], probe: Probe) -> Places:
    """Values that change: those that are called joints, of the column that has most of them; else those whose names say
    nothing. A rate, a force, the base, a finger is none."""
    for roles in (("joint",), ("",)):
        found = [v for v in own if v.role in roles and v.place not in taken and probe.range_of(*v.place) is not None]
        if not found:
            continue
        columns: dict[str, list[Named]] = {}
        for value in found:
            columns.setdefault(value.column, []).append(value)
        most = max(columns.values(), key=len)
        return tuple(v.place for v in (found if len(most) == 1 else most))
    return ()


def _last_that_flips(own: Sequence[Named], probe: Probe) -> Named | None:
    """Of values whose names say nothing the last, where it is nearly always at one of two levels."""
    nameless = [v for v in own if v.role in ("", "joint") and not v.own]
    return nameless[-1] if len(nameless) > 1 and flips(nameless[-1], probe) else None


def _commanded(told: Sequence[Named], probe: Probe, findings: list[Finding]) -> list[Stream]:
    """An action alone: what it says is taken for a velocity of the one arm."""
    gripper = {v.place for v in told if v.role == "gripper"}
    if not gripper and told and flips(told[-1], probe):
        gripper = {told[-1].place}
    places = tuple(v.place for v in told if v.place not in gripper and probe.range_of(*v.place) is not None)
    if not places:
        return []
    findings.append(Finding("no state moves: the action is taken for a velocity", 0.6))
    return [Stream(kind="velocity", arm="single", places=places, unit="raw")]
