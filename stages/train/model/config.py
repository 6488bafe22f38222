"""The sizes of the two towers, and what of the report is switched on.

The default has the parts of WALL-WM (arXiv 2606.01955, section 3) in a few million parameters; `tiny` is for tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ActionHead = Literal["flow", "two_step"]
ConeRule = Literal["closest", "any"]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Widths must be multiples of 16 times their heads: rotary codes part a head's columns by time, row and column."""

    state: int = 28
    """Columns of the state, environment included."""
    action: int = 4
    """Columns of an action."""
    text: int = 512
    """Columns of a text vector."""
    depth: int = 4
    """Blocks of each tower; action block i reads video block i."""
    video_width: int = 192
    video_heads: int = 6
    action_width: int = 128
    action_heads: int = 4
    patch: int = 16
    """Pixels of a patch's side; pictures must be multiples of it."""
    luma: int = 12
    """Frequencies kept of a patch's brightness: (row + column frequency) under this."""
    chroma: int = 6
    """The same of its two colour channels."""
    stride: int = 4
    """Actions from one picture to the next (K_p): action k lies beside latent frame floor(k / stride) + 1."""
    frames: int = 66
    """Latent frames that the temporal index knows, state included; later ones share the last."""
    windows: int = 64
    """Sliding windows that the absolute index knows (unified mode); later ones share the last."""
    action_head: ActionHead = "flow"
    """flow: flow matching; two_step: two regressions (arXiv 2512.01809)."""
    draws: int = 6
    """Noise draws of an event's actions that share one forward of the video tower (K)."""
    denoising_steps: int = 50
    """N_d: steps from noise to picture."""
    anchor: int = 45
    """s*: the noise step, of N_d, at which the action tower reads the video tower; N_d is noise alone."""
    sight_cone: bool = True
    """While training, patches of two views attend to each other only where their cones of sight meet."""
    cone_rule: ConeRule = "any"
    """any: cones meet at any two depths (exact); closest: at the closest points of their axes, as the report has it."""
    nearest_m: float = 0.05
    """Depths between which a cone reaches, m."""
    farthest_m: float = 3.0
    drop_short: float = 0.1
    """Share of captions dropped from events of at most `drop_from` frames, while training."""
    drop_long: float = 0.9
    """The same from `drop_until` frames on; a half cosine between."""
    drop_from: int = 129
    drop_until: int = 220

    def __post_init__(self) -> None:
        for width, heads, of in (
            (self.video_width, self.video_heads, "video"),
            (self.action_width, self.action_heads, "action"),
        ):
            if width % (16 * heads):
                raise ValueError(f"{of}_width {width} is no multiple of 16 x {heads} heads")
        if not 0 < self.anchor <= self.denoising_steps:
            raise ValueError(f"anchor {self.anchor} is no step of {self.denoising_steps}")
        if not 0 < self.nearest_m < self.farthest_m:
            raise ValueError(f"no depths between {self.nearest_m} and {self.farthest_m} m")
        if not (0 < self.luma < 2 * self.patch and 0 < self.chroma < 2 * self.patch):
            raise ValueError(f"a patch of {self.patch} pixels has frequencies 0 to {2 * self.patch - 2}")

    @classmethod
    def tiny(cls, **changed: object) -> ModelConfig:
        """For tests: about 60,000 parameters."""
        sizes: dict[str, object] = {
            "state": 5, "action": 2, "text": 8, "depth": 2, "video_width": 32, "video_heads": 2, "action_width": 32,
            "action_heads": 2, "patch": 8, "luma": 6, "chroma": 3, "stride": 2, "draws": 2,
        }  # fmt: skip
        return cls(**(sizes | changed))  # type: ignore[arg-type]
