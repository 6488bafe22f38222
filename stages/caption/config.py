"""Settings of caption."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class CaptionConfig(BaseModel):
    """Which captioner writes the sentences, and what it is shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    captioner: Literal["signals", "transformers", "openai"] = Field(
        "signals",
        description="signals: from kinematics and task text, no weights; transformers: a vision-language model in the "
        "workers; openai: one behind a server with that interface",
    )
    model: str = Field(
        "", description="transformers: a folder, or a name on the Hub (name@revision); openai: as the server calls it"
    )
    moments: int = Field(3, ge=1, description="moments of an event that are shown, by all cameras")
    static: bool = Field(False, description="whether events in which nothing moves are asked about too")
    stills: Literal["proxy", "source"] = Field(
        "proxy",
        description="which pictures are shown: the proxies' (short side 256 px), or full-size ones of the source, for "
        "which its files are decoded once more",
    )
    picture_side: int = Field(384, ge=32, description="longest side of a picture that is shown, px")
    phrasings: tuple[Literal["short", "detailed"], ...] = Field(
        ("short", "detailed"), description="how each caption is also said"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="of transformers; cuda needs run.gpus.caption too")
    batch: int = Field(8, ge=1, description="transformers: questions that go through the model together")
    base_urls: tuple[str, ...] = Field((), description="openai: servers, such as [http://localhost:8000/v1]")
    in_flight: int = Field(16, ge=1, description="openai: requests at once, a server and worker")
    timeout_s: float = Field(120.0, gt=0, description="openai: for one answer, s")
    retries: int = Field(4, ge=0, description="openai: further tries of a request that a server could not answer")
    requests_per_minute: float | None = Field(None, gt=0, description="openai: most, a worker; null: no bound")
    api_key_env: str = Field("OPENAI_API_KEY", description="openai: environment variable with the key of the servers")

    prices: tuple[float, float] | None = Field(
        None, description="of a million tokens, of questions and of answers: what --dry-run reckons with"
    )

    @model_validator(mode="after")
    def _model_is_named(self) -> CaptionConfig:
        if self.captioner != "signals" and not self.model:
            raise ValueError(f"captioner is {self.captioner}: say which model")
        if self.captioner == "openai" and not self.base_urls:
            raise ValueError("captioner is openai: base_urls must name a server, such as [http://localhost:8000/v1]")
        return self
