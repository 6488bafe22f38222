"""What a training set's README.md says. In: its name, the command's options, its recordings. Out: Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stages.train.simulation.environment import FPS

if TYPE_CHECKING:
    from pipeline.recorder.worker import Recording

CARD = """\
---
license: apache-2.0
authors:
- event-corpus
tags:
- LeRobot
- robotics
task_categories:
- robotics
---

# {name}

{episodes} simulated demonstrations with a Sawyer arm (Meta-World 3.1.1, MuJoCo 3.3.0), recorded by

    python -m pipeline.recorder.demonstrations --out {name} \\
        {options}

| task | demonstrations | with a missed grasp | seconds in all |
| --- | --- | --- | --- |
{table}

All succeed by the task's own rule and last 5 to 20 s. Physics runs at 400 Hz, control at 80 Hz, recording at 20 Hz.
A task has one instruction and one look; its things and the hand start elsewhere in each episode. In about a fifth of
the demonstrations of a grasping task the fingers close on nothing first, reopen, and go again.

- `observation.state` [11]: hand position (m), quaternion x, y, z, w, velocity (m/s), gripper, 0 closed to 1 open.
- `action` [4]: commanded hand velocity (m/s), mean until the next row; gripper command, 0 close, 1 open.
- `observation.environment_state` [17]: position (m) and quaternion (x, y, z, w; zeros where the simulator gives none)
  of the thing that is handled, the same of a second one (zeros: there is none), position of the goal.
- `observation.images.*`, where there are some: 64x64, AV1, of the same instants; the arm's links are not drawn.
- `meta/calibration.json`: pinhole calibration, OpenCV axes, metres, pixel centres at integers.

All in the robot's base frame. Apache-2.0, recorded by the project with Meta-World (MIT) and MuJoCo (Apache-2.0).
"""


def card(name: str, options: Sequence[str], recordings: Sequence[Recording]) -> str:
    return CARD.format(
        name=name,
        options=" \\\n        ".join(options),
        episodes=len(recordings),
        table="\n".join(_line(task, recordings) for task in dict.fromkeys(r.plan.task for r in recordings)),
    )


def _line(task: str, recordings: Sequence[Recording]) -> str:
    own = [r for r in recordings if r.plan.task == task]
    missed, seconds = sum(r.plan.missed for r in own), sum(len(r.state) for r in own) / FPS
    return f"| {task} | {len(own)} | {missed} | {seconds:.0f} |"
