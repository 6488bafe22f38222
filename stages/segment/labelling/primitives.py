"""What happens in a span: its primitive, the arms that act, whether it is static, whether it mends a failure.

In: hands and the spans of a level. Out: `Labels`, one entry a span. Rules from the physics of picking: fingers closing
is a grasp, opening a release; moving open-handed leads to the next closing (reach, align) or away from the last
opening (retract); what moves with something held is lift, lower, move or place by direction (z up, base frame), push
or pull where it never leaves its height.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from schemas.events import PRIMITIVES
from schemas.events import RECOVERIES as NAMES
from stages.seconds import at_least
from stages.segment.config import SegmentConfig
from stages.segment.kinematics.gripper import Change
from stages.segment.labelling.hand import Bool, Float, Hand, Int, Spans
from stages.segment.labelling.handless import strokes

CODE = {name: number for number, name in enumerate(PRIMITIVES)}
RECOVERIES = ("", *NAMES)
RECOVERY = {name: number for number, name in enumerate(RECOVERIES)}

WITHOUT_HAND = tuple(CODE[name] for name in ("reach", "press", "push", "pull", "retract"))
FINGERS = tuple(CODE[name] for name in ("open", "close"))
HANDS = tuple(CODE[name] for name in ("grasp", "release", "handover"))
BESIDE = 0.35  # of the fastest arm's speed: an arm that is slower beside it only trembles along
ACTS = 0.15  # mean scaled speed from which an arm takes part
GOES = 0.13  # way, in what fast motion covers in a second, below which an arm gets nowhere
SLOW = 0.35  # and below which it works finely: aligns, places
BUSY = 0.4  # share of a span in which fingers move that makes it a grasp or a release
PART = 0.8  # share of a span within a longer closing or opening that makes it a part of that
TURNS = 2.0  # a hand that turns so many times faster than it travels rotates
PRESS_S = 3.0  # a rest up to so long next to a command that flips is that grasp or release
NEXT_S = 0.5  # next to a change of the hand
LIFTED = 0.25  # rise while held, as a share of the way gone, from which a thing was lifted rather than pushed or pulled
BRIEF_S = 1.0  # a hesitation or a correction takes no longer
BACK = -0.5  # cosine from which a stroke goes back on the one before
FLIP_S = 0.1  # a quick change where a subtask ends belongs to that, whichever frame the boundary is rounded to
SUBTASK_S = 1.0  # a subtask not longer than this, beside the change itself, is that grasp or placing


@dataclass(frozen=True, slots=True)
class Labels:
    """Per span: primitive and recovery (numbers in PRIMITIVES, RECOVERIES), confidence, static; arms, holds: bit i set
    where arm i takes part, where its hand holds something for certain."""

    primitive: Int
    recovery: Int
    confidence: Float
    static: Bool
    arms: Int
    holds: Int


def label_spans(hands: Sequence[Hand], spans: Spans, config: SegmentConfig) -> Labels:
    """Labels of L1 or L0 spans: those of the arm that does most in each; a hand that acts does more than one that
    moves. Where hands act, only their arms take part."""
    count = len(spans.start)
    if not hands:
        none = np.zeros(count, dtype=np.int64)
        return Labels(np.full(count, CODE["unknown"]), none, np.zeros(count), np.zeros(count, dtype=bool), none, none)
    handless = not any(h.closes.any() for h in hands)
    own = [_one_arm(h, spans, handless, config) for h in hands]
    leader, pick = np.argmax([activity for _, activity in own], axis=0), np.arange(count)
    primitive, recovery, confidence = (
        np.stack([getattr(labels, name) for labels, _ in own])[leader, pick]
        for name in ("primitive", "recovery", "confidence")
    )
    static = np.all([labels.static for labels, _ in own], axis=0)
    acts = [np.isin(labels.primitive, (*HANDS, *FINGERS)) & (labels.primitive == primitive) for labels, _ in own]
    handed = primitive == CODE["handover"]
    speeds = [h.speed(spans) for h in hands]
    most = np.max(speeds, axis=0)
    takes_part = [
        np.where(np.any(acts, axis=0) & ~handed, a, labels.arms.astype(bool) & (speed > BESIDE * most))
        for a, (labels, _), speed in zip(acts, own, speeds, strict=True)
    ]
    takes_part = [np.where(handed, 1, part) for part in takes_part]
    arms = np.sum([part.astype(np.int64) << bit for bit, part in enumerate(takes_part)], axis=0)
    holds = np.sum([labels.holds << bit for bit, (labels, _) in enumerate(own)], axis=0)
    return Labels(primitive, recovery, confidence, static, arms, holds)


def with_local_events(hands: Sequence[Hand], spans: Spans, labels: Labels, slips: Float) -> Labels:
    """Labels of L0 spans with the local events that a longer span hides: a hesitation between two strokes, a stroke
    back and forth again (correction), a hand that opens and closes again at once (regrasp), fingers that give way
    (slip)."""
    count, brief = len(spans.start), spans.seconds < BRIEF_S
    if count < 3 or not hands:
        return labels
    recovery, free = labels.recovery.copy(), labels.recovery == 0
    before, after = np.arange(count) - 1, np.minimum(np.arange(count) + 1, count - 1)
    inner = (before >= 0) & (np.arange(count) < count - 1)
    moves = ~labels.static & ~np.isin(labels.primitive, HANDS)
    recovery[free & inner & brief & labels.static & moves[before] & moves[after]] = RECOVERY["hesitation"]
    back = np.zeros(count, dtype=bool)
    for hand in hands:
        shift = hand.shift(spans, hand.motion.path)
        shift /= np.maximum(np.linalg.norm(shift, axis=1, keepdims=True), 1e-9)
        cosine = np.sum(shift[1:] * shift[:-1], axis=1)
        turned = np.concatenate([[False], cosine < BACK])
        back |= turned & np.append(turned[1:], False)
    recovery[free & inner & brief & moves & back & moves[before] & moves[after]] = RECOVERY["correction"]
    again = (labels.primitive == CODE["grasp"]) & (labels.primitive[before] == CODE["release"]) & brief[before]
    recovery[free & inner & again] = RECOVERY["regrasp"]
    recovery[free & (np.searchsorted(slips, spans.end) > np.searchsorted(slips, spans.start))] = RECOVERY["slip"]
    return replace(labels, recovery=recovery)


def label_subtasks(hands: Sequence[Hand], spans: Spans, config: SegmentConfig) -> Labels:
    """Labels of L2 spans: a subtask is what its last grasp, release or handover makes of it."""
    own = label_spans(hands, spans, config)
    count = len(spans.start)
    none = np.zeros(count, dtype=np.int64)
    acting = sorted((c for h in hands for c in h.changes if not c.missed), key=lambda c: (c.start + c.end, c.arm))
    if not acting:
        primitive = np.where(np.isin(own.primitive, WITHOUT_HAND), own.primitive, CODE["unknown"])
        return replace(own, primitive=primitive, recovery=none, confidence=np.where(own.confidence > 0, 0.4, 0.0))
    marks = np.array([_subtask_of(c) for c in acting])
    closes, given = (np.array([getattr(c, n) for c in acting]) for n in ("closes", "given"))
    last = np.searchsorted(marks, spans.end) - 1
    known, which = last >= 0, np.maximum(last, 0)
    inside = known & (marks[which] >= spans.start)
    takes = np.array([c.end - c.start if c.closes else 0.0 for c in acting])[which]
    short = ~at_least(spans.seconds, SUBTASK_S + takes)  # little but the grasp or the placing itself
    held = np.where(known, closes[which], ~closes[0])
    coming = (last + 1 < len(acting)) & closes[np.minimum(last + 1, len(acting) - 1)]
    let_go = np.append(False, (inside & ~closes[which])[:-1])  # the span before ended with a release
    empty = np.where(coming & ~let_go, CODE["approach"], CODE["retract"])
    primitive = np.where(held, CODE["transport"], empty)
    primitive = np.where(inside, np.where(closes[which], CODE["approach"], CODE["transport"]), primitive)
    primitive = np.where(inside & short, np.where(closes[which], CODE["grasp"], CODE["place"]), primitive)
    primitive = np.where(inside & given[which], CODE["handover"], primitive)
    return replace(own, primitive=primitive, recovery=none, confidence=np.full(count, 0.7))


def _subtask_of(change: Change) -> float:
    """A moment (s) inside the subtask that a change belongs to: a release ends one where it begins, a handover at the
    moment of passing."""
    if change.passed is not None:
        return change.passed - FLIP_S
    if not change.closes:
        return change.start - FLIP_S
    return (change.start + change.end) / 2 - FLIP_S * (change.end - change.start < 2 * FLIP_S)


def label_task(hands: Sequence[Hand], spans: Spans, config: SegmentConfig) -> Labels:
    own, count = label_spans(hands, spans, config), len(spans.start)
    none = np.zeros(count, dtype=np.int64)
    return Labels(np.full(count, CODE["task"]), none, np.ones(count), np.zeros(count, dtype=bool), own.arms, own.holds)


def _one_arm(hand: Hand, spans: Spans, handless: bool, config: SegmentConfig) -> tuple[Labels, Float]:
    """(labels of one arm, how much it does in each span). handless: no hand takes anything in the episode."""
    speed = hand.speed(spans)
    act, which, sure = _acts(hand, spans, speed, config)
    no = np.zeros(len(speed), dtype=bool)
    unsure = _acts(hand.unsure, spans, speed, config)[0] if hand.unsure else no
    empty_hand, by, _ = _acts(hand.empty, spans, speed, config) if hand.empty else (no, no, speed)
    empty_hand = empty_hand & ~act & ~unsure
    state = hand.state(spans.middle)
    inset = np.minimum(FLIP_S, spans.seconds / 4)  # boundaries are rounded to frames
    holds = hand.state(spans.start + inset).sure & state.sure & hand.state(spans.end - inset).sure
    static = (speed < config.moving) & ~act & ~unsure & ~empty_hand
    moves = ~static & ~act
    primitive = np.full(len(speed), CODE["move"])
    confidence = np.full(len(speed), 0.5 if hand.changes else 0.4)

    def put(where: Bool, name: str, how_sure: float) -> None:
        primitive[where], confidence[where] = CODE[name], how_sure

    empty, fine = moves & ~state.held, speed < SLOW
    put(empty & state.ahead, "reach", 0.7)
    put(empty & state.ahead & fine & hand.close_to(spans.end, True, NEXT_S), "align", 0.6)
    leaves = ~state.ahead | (hand.close_to(spans.start, False, NEXT_S) & ~state.attempt)
    put(empty & state.behind & leaves, "retract", 0.7)
    for where, name, how_sure in _carrying(hand, spans, moves & state.held, fine, config):
        put(where, name, how_sure)
    stays = np.linalg.norm(hand.shift(spans, hand.motion.path), axis=1) < GOES
    put(stays & empty, "move", 0.4)  # it stirs: nothing is reached for, nothing left
    put(stays & moves & state.held & (primitive == CODE["move"]), "hold", 0.5)
    spin = hand.spin(spans)
    if spin is not None:
        travels = np.linalg.norm(hand.shift(spans, hand.motion.path), axis=1) / spans.seconds
        put(moves & (spin > ACTS) & (spin > TURNS * travels), "rotate", 0.6)
    if handless:
        for where, name, how_sure in strokes(hand, spans, moves):
            put(where, name, how_sure)
    put(static & state.held, "hold", 0.8)
    put(static & ~state.held, "idle", 0.8)
    put(unsure, "unknown", 0.4)  # fingers move, and whether they take or give nobody knows
    if hand.empty:
        put(empty_hand & hand.empty.closes[by], "close", 0.6)
        put(empty_hand & ~hand.empty.closes[by], "open", 0.6)
    recovery = np.zeros(len(speed), dtype=np.int64)
    recovery[empty & state.attempt & state.ahead] = RECOVERY["second_approach"]
    if hand.changes:
        closing, missed = hand.closes[which], hand.missed[which]
        put(act & closing, "grasp", 0.9)
        put(act & ~closing, "release", 0.9)
        put(act & closing & hand.given[which], "handover", 0.8)
        recovery[act & missed] = np.where(closing, RECOVERY["missed_grasp"], RECOVERY["reopen"])[act & missed]
    takes_part = ((speed > ACTS) | act | unsure).astype(np.int64)
    labels = Labels(primitive, recovery, confidence * sure, static, takes_part, holds.astype(np.int64))
    return labels, speed + act + unsure


def _carrying(
    hand: Hand, spans: Spans, where: Bool, fine: Bool, config: SegmentConfig
) -> list[tuple[Bool, str, float]]:
    """(where, primitive, confidence) of spans in which something held moves; later ones win."""
    position = hand.motion.position
    place = where & fine & hand.lets_go_after(spans.end, 0.3)
    if position is None or not hand.motion.metric:
        return [(where, "move", 0.6), (place, "place", 0.5)]
    shift = hand.shift(spans, position)
    rise = shift[:, 2] / np.maximum(np.linalg.norm(shift, axis=1), 1e-6)
    rises, way, nearer = hand.hold(spans.middle)
    flat = where & (rises < LIFTED * way)
    return [
        (where, "move", 0.7),
        (flat & (nearer > 0), "pull", 0.6),
        (flat & (nearer <= 0), "push", 0.6),
        (where & (rise >= config.vertical), "lift", 0.8),
        (where & (rise <= -config.vertical), "lower", 0.8),
        (place, "place", 0.6),
    ]


def _acts(hand: Hand, spans: Spans, speed: Float, config: SegmentConfig) -> tuple[Bool, Int, Float]:
    """Per span: does the hand act in it, with which of its changes, and how sure that is."""
    count, sure = len(spans.start), np.ones(len(spans.start))
    last, busy = np.full(count, -1), np.zeros(count)
    slow = speed < config.moving
    if not hand.changes:
        return np.zeros(count, dtype=bool), np.zeros(count, dtype=np.int64), sure
    inside = np.searchsorted(spans.start, (hand.starts + hand.ends) / 2 + 1e-9, side="right") - 1
    inside = np.clip(inside, 0, count - 1)
    overlap = np.minimum(hand.ends, spans.end[inside]) - np.maximum(hand.starts, spans.start[inside])
    np.add.at(busy, inside, np.maximum(overlap, 0.0))
    last[inside] = np.arange(len(hand.changes))  # later ones win
    act = (last >= 0) & ~hand.flips[last] & (slow | (busy / spans.seconds > BUSY))
    during = np.searchsorted(hand.starts, spans.middle, side="right") - 1  # a part of a long closing or opening
    known = np.maximum(during, 0)
    part = (during >= 0) & ~act & ~hand.flips[known]
    overlap = np.minimum(hand.ends[known], spans.end) - np.maximum(hand.starts[known], spans.start)
    part &= overlap > PART * spans.seconds
    last, act = np.where(part, known, last), act | part
    flips = np.flatnonzero(hand.flips)  # a command without duration: the shorter rest beside it is the act
    for side in (0, 1):
        span = np.searchsorted(spans.start, hand.starts[flips] + 0.2, side="right") - 1 - side
        known = np.clip(span, 0, count - 1)
        edge = (spans.start, spans.end)[side][known]
        beside = (span >= 0) & (np.abs(edge - hand.starts[flips]) < 0.2) & slow[known]
        beside &= (spans.seconds[known] <= PRESS_S) & ~act[known]
        last[known[beside]], sure[known[beside]] = flips[beside], 0.8
        act[known[beside]] = True
        flips = flips[~beside]
    return act, np.maximum(last, 0), sure
