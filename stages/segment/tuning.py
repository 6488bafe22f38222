"""Learn where people put boundaries, from a few labelled episodes.

In: episodes with their candidates and their true boundaries of one level. Out: a `SegmentModel`: weights of evidence
where they win, else a granularity, else nothing. All is cross-validated by episode, choices included, and what wins
must gain more than its 95 % interval. Each round pairs true boundaries with candidates, one to one, by what is believed
so far, fits a regularised logistic regression (scikit-learn), and moves each kind of evidence to where people mark it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from stages.episode import Signal
from stages.segment.agreement import Counts, boundaries
from stages.segment.boundaries.candidates import candidates
from stages.segment.boundaries.learned import FEATURES, delays, features, judged, leaders
from stages.segment.boundaries.selection import Nodes, choose
from stages.segment.config import SegmentConfig
from stages.segment.evidence.candidates import KINDS, Evidence, Float, Int
from stages.segment.evidence.collect import collect, of_arm
from stages.segment.kinematics.gripper import changes_of, handovers
from stages.segment.kinematics.motion import arm_motions, grid
from stages.segment.model import COMMON, Level, SegmentModel, Tried
from stages.segment.tracks import Timebase, tracks_of

TOLERANCE_S = 0.5
FOLDS, INNER = 5, 3
ROUNDS = 3
SCALES = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)
STRICTNESS = (0.03, 0.1, 0.3, 1.0)  # inverse of the regularisation
ASKED = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
USUAL = (0.0, 0.25, 0.5)  # of the median true span
SHIFTS = np.round(np.arange(-1.5, 1.51, 0.1), 2)
STEADY = 8.0  # a kind is moved as far as so many of its boundaries say it, against all kinds together
MANY = 30  # episodes
DRAWS = 2000
SAID_S = 0.1
MARGIN = 0.01  # F1 by which weights must beat the granularity, which is the simpler of the two


@dataclass(frozen=True, slots=True)
class Labelled:
    """An episode and its true inner boundaries, s on the canonical clock."""

    name: str
    signals: Mapping[str, Signal]
    clock: Timebase
    true: Float
    evidence: Evidence
    nodes: Nodes
    features: Float
    leaders: Int

    @property
    def at(self) -> Float:
        """Times of the nodes on the canonical clock, s."""
        return np.asarray(self.nodes.seen + (self.clock.start[0] - self.clock.log[0]))

    def delays(self, model: SegmentModel) -> Float:
        return delays(self.evidence, self.nodes, model)


def labelled(name: str, signals: Mapping[str, Signal], clock: Timebase, true: Float, config: SegmentConfig) -> Labelled:
    """An episode to learn from."""
    points = grid(clock.log)
    motions = arm_motions(signals, points, config)
    changes = handovers([c for m in motions for c in changes_of(m, points, config)], motions, points, config)
    arms = [of_arm(m, changes, points, config) for m in motions]
    evidence = collect(arms, changes, points, config)
    found = candidates(evidence, arms, changes, points, clock.log, clock.start, clock.end)
    return Labelled(
        name, signals, clock, np.sort(true), evidence, found.nodes, features(found, config),
        leaders(evidence, found.nodes),
    )  # fmt: skip


def tune(episodes: Sequence[Labelled], level: Level, config: SegmentConfig) -> SegmentModel:
    """What these episodes teach. Needs two at least, with a boundary each."""
    folds = [list(range(i, len(episodes), min(FOLDS, len(episodes)))) for i in range(min(FOLDS, len(episodes)))]
    cut = {scale: [_cuts(e, level, config, scale) for e in episodes] for scale in SCALES}
    scored = {
        (scale, shift): [
            boundaries(_later(c, e, shift), e.true, TOLERANCE_S) for c, e in zip(own, episodes, strict=True)
        ]
        for scale, own in cut.items()
        for shift in SHIFTS.tolist()
    }
    by_scale: list[Counts] = [Counts()] * len(episodes)
    by_weights: list[Counts] = [Counts()] * len(episodes)
    for fold in folds:
        rest = [i for i in range(len(episodes)) if i not in fold]
        chosen = _best(scored, rest)
        model = fit([episodes[i] for i in rest], level)
        for i in fold:
            by_scale[i] = scored[chosen][i]
            by_weights[i] = boundaries(predicted(episodes[i], model), episodes[i].true, TOLERANCE_S)
    untuned = scored[1.0, 0.0]
    tried = {
        "untuned": _tried(untuned, untuned),
        "scale": _tried(by_scale, untuned),
        "weights": _tried(by_weights, untuned),
    }
    names = tuple(e.name for e in episodes)
    won = {k for k in ("scale", "weights") if tried[k].better[0] > 0}
    if "weights" in won and ("scale" not in won or tried["weights"].f1 >= tried["scale"].f1 + MARGIN):
        model = fit(episodes, level)
        return model.model_copy(update={"tried": tried, "episodes": names})
    scale, shift = _best(scored, range(len(episodes)))
    if "scale" in won:
        word = "coarser" if scale > 1 else "finer"
        told = [f"these people cut {word}: segment.scale {scale:g}"] * (scale != 1.0) + _delay(shift)
        return SegmentModel(
            kind="scale", level=level, scale=scale, shift_s={COMMON: shift} if shift else {}, says=tuple(told),
            tried=tried, episodes=names,
        )  # fmt: skip
    says = ["nothing was learned that holds on episodes left out: the untuned segmenter stays"]
    if len(episodes) < MANY:
        says.append("with more labelled episodes it may be otherwise")
    return SegmentModel(kind="nothing", level=level, says=tuple(says), tried=tried, episodes=names)


def predicted(episode: Labelled, model: SegmentModel) -> Float:
    """Boundaries of the model's level, s."""
    return _chosen(judged(episode.nodes, episode.features, model), episode, model)


def _chosen(nodes: Nodes, episode: Labelled, model: SegmentModel) -> Float:
    start, end = episode.clock.start, episode.clock.end
    own = choose(nodes, (), start, end, model.asked, model.least_s, model.usual_s)
    found = (episode.at + episode.delays(model))[np.isin(nodes.frame, own)]
    return np.sort(found[(found > start[0]) & (found < end)])


def fit(episodes: Sequence[Labelled], level: Level) -> SegmentModel:
    """Weights of these episodes; how strict, how many and how short are chosen among them by episodes left out."""
    spans = np.concatenate([np.diff(e.true) for e in episodes if len(e.true) > 1] or [np.ones(1)])
    least = max(0.1, 0.5 * float(np.percentile(spans, 5)))
    usual = float(np.median(spans))
    parts = [[e for i, e in enumerate(episodes) if i % INNER != k] for k in range(INNER)] if len(episodes) > 2 else []
    tests = [[e for i, e in enumerate(episodes) if i % INNER == k] for k in range(INNER)]
    best = (-1.0, STRICTNESS[1], 0.4, 0.0)
    for strict in STRICTNESS if parts else ():
        models = [_weights(part, level, strict).model_copy(update={"least_s": least}) for part in parts]
        believed = [[(e, judged(e.nodes, e.features, m)) for e in test] for m, test in zip(models, tests, strict=True)]
        for asked, share in product(ASKED, USUAL):
            found = Counts()
            for model, test in zip(models, believed, strict=True):
                told = model.model_copy(update={"asked": asked, "usual_s": max(1e-3, share * usual)})
                found = sum((boundaries(_chosen(nodes, e, told), e.true, TOLERANCE_S) for e, nodes in test), found)
            if found.f1 > best[0] + 1e-9:
                best = (found.f1, strict, asked, share)
    _, strict, asked, share = best
    model = _weights(episodes, level, strict)
    update = {"asked": asked, "usual_s": round(max(1e-3, share * usual), 3), "least_s": round(least, 3)}
    return model.model_copy(update={**update, "says": _words(model, asked, least)})


def _weights(episodes: Sequence[Labelled], level: Level, strict: float) -> SegmentModel:
    model = SegmentModel(kind="weights", level=level, shift_s={COMMON: _common_shift(episodes)})
    taught = False
    for _ in range(ROUNDS):
        rows, marks, late = [], [], []
        for episode in episodes:
            nodes = episode.nodes
            belief = judged(nodes, episode.features, model).strength if taught else nodes.strength
            marked = episode.at + episode.delays(model)
            pairs = _pairs(marked, belief, episode.true)
            hit = np.zeros(len(nodes.frame))
            hit[[i for i, _ in pairs]] = 1.0
            rows.append(episode.features)
            marks.append(hit)
            late += [(int(episode.leaders[i]), float(episode.true[j] - marked[i])) for i, j in pairs]
        x, y = np.concatenate(rows), np.concatenate(marks)
        if not y.any() or y.all():  # nothing to tell apart, or no candidate at all
            return model.model_copy(update={"bias": 20.0 if y.any() else -20.0})
        with threadpool_limits(1):  # tiny matrices: threads cost more than they bring, and the same bits each time
            found = LogisticRegression(C=strict, solver="newton-cholesky").fit(x, y)
        weights = {name: round(float(w), 3) for name, w in zip(FEATURES, found.coef_[0], strict=True)}
        kept = {name: w for name, w in weights.items() if w}
        model = model.model_copy(
            update={"bias": round(float(found.intercept_[0]), 3), "weights": kept, "shift_s": _shifts(model, late)}
        )
        taught = True
    return model


def _common_shift(episodes: Sequence[Labelled]) -> float:
    """How much later than strong evidence people mark, s: where most boundaries find some, the smallest such."""
    best = (-1, 0.0)
    for shift in sorted(SHIFTS.tolist(), key=abs):
        found = 0
        for e in episodes:
            lead = float(e.clock.start[0] - e.clock.log[0])
            strong = np.sort(e.evidence.time[e.evidence.strength > 0.5]) + lead + shift
            found += boundaries(strong, e.true, TOLERANCE_S).hits
            near = np.abs(strong[:, None] - e.true).min(axis=1) if len(strong) and len(e.true) else np.ones(1)
            found += int((near < TOLERANCE_S / 4).sum())
        if found > best[0]:
            best = (found, shift)
    return best[1]


def _shifts(model: SegmentModel, moved: Sequence[tuple[int, float]]) -> dict[str, float]:
    """Shifts with what is left of them added: of all kinds together, and of each as far as it has boundaries."""
    common = model.shift_s.get(COMMON, 0.0)
    rest = float(np.median([d for _, d in moved])) if moved else 0.0
    shifts = {COMMON: round(common + rest, 2)}
    for number, kind in enumerate(KINDS):
        own = [d for k, d in moved if k == number]
        if own:
            trust = len(own) / (len(own) + STEADY)
            now = model.shift_s.get(kind, common)
            shifts[kind] = round(now + trust * float(np.median(own)) + (1 - trust) * (common + rest - now), 2)
    return shifts


def _pairs(at: Float, belief: Float, true: Float) -> list[tuple[int, int]]:
    """(candidate, true boundary) pairs within tolerance, one to one, what is believed most and lies nearest first."""
    found, order = [], np.argsort(at, kind="stable")
    for j, t in enumerate(true.tolist()):
        first, last = np.searchsorted(at[order], [t - TOLERANCE_S, t + TOLERANCE_S])
        some = order[first:last].tolist()
        found += [(belief[i] - 0.5 * abs(at[i] - t) / TOLERANCE_S, i, j) for i in some]
    pairs, used, met = [], set[int](), set[int]()
    for _, i, j in sorted(found, key=lambda f: (-f[0], f[1], f[2])):
        if i not in used and j not in met:
            used.add(i)
            met.add(j)
            pairs.append((i, j))
    return pairs


def _cuts(episode: Labelled, level: Level, config: SegmentConfig, scale: float) -> Float:
    told = config.model_copy(update={"model": None, "scale": scale})
    track = tracks_of(episode.signals, episode.clock, told)[0]
    return np.asarray(episode.clock.start[track.levels[level].frames[1:-1]], dtype=np.float64)


def _later(found: Float, episode: Labelled, shift: float) -> Float:
    moved = found + shift
    return np.asarray(moved[(moved > episode.clock.start[0]) & (moved < episode.clock.end)])


def _best(
    scored: Mapping[tuple[float, float], Sequence[Counts]], episodes: Sequence[int] | range
) -> tuple[float, float]:
    """The scale and delay of the best F1; of equal ones those nearest to 1 and 0."""
    totals = {k: sum((own[i] for i in episodes), Counts()).f1 for k, own in scored.items()}
    return max(totals, key=lambda k: (round(totals[k], 6), -abs(np.log(k[0])), -abs(k[1])))


def _tried(own: Sequence[Counts], untuned: Sequence[Counts]) -> Tried:
    """F1 with 95 % intervals by bootstrap over episodes, of itself and of what it gains."""
    chosen = np.random.default_rng(0).integers(0, len(own), (DRAWS, len(own)))
    tables = [np.array([(h.hits, h.predicted, h.true) for h in hits])[chosen].sum(axis=1) for hits in (own, untuned)]
    ours, theirs = (2 * t[:, 0] / np.maximum(t[:, 1] + t[:, 2], 1) for t in tables)
    total = sum(own, Counts())
    low, high = np.percentile(ours, [2.5, 97.5])
    worse, better = np.percentile(ours - theirs, [2.5, 97.5])
    return Tried(
        f1=round(total.f1, 3),
        interval=(round(float(low), 3), round(float(high), 3)),
        ratio=round(total.predicted / max(total.true, 1), 2),
        better=(round(float(worse), 3), round(float(better), 3)),
    )


def _delay(seconds: float) -> list[str]:
    side = "after" if seconds > 0 else "before"
    return [f"people mark {abs(seconds):.1f} s {side} what the signals show"] if abs(seconds) >= SAID_S else []


def _words(model: SegmentModel, asked: float, least: float) -> tuple[str, ...]:
    """What was learned, the heaviest first."""
    ranked = sorted(((n.replace("_", " "), w) for n, w in model.weights.items()), key=lambda w: -abs(w[1]))
    more, less = ([n for n, w in ranked if sign * w > 0.25][:6] for sign in (1, -1))
    said = []
    if more:
        said.append(f"speaks for a boundary: {', '.join(more)}")
    if less:
        said.append(f"speaks against one: {', '.join(less)}")
    common = model.shift_s.get(COMMON, 0.0)
    said += _delay(common)
    odd = {k: s for k, s in model.shift_s.items() if k != COMMON and abs(s - common) >= 0.15}
    said += [
        f"{kind.replace('_', ' ')} is marked {abs(s):.1f} s {'after' if s > 0 else 'before'} it shows"
        for kind, s in odd.items()
    ]
    said.append(f"a candidate is cut from a probability of {asked:g}; no span is shorter than {least:.2f} s")
    return tuple(said)
