"""Where in its file each episode's pictures lie: by time as the source says it, and by count where counts tell more.

In: cameras with their files, in columns. Out: the same with `first` and `whole` (the episode's first frame in the file
and how many frames the file then holds, if the lengths of the episodes before it add up; null where a length is not
known), and `claimed`: another camera of an episode that claims the same pictures. Times that were summed up from
rounded durations drift; two claims of the same pictures cannot both be right, so neither is used.
"""

from __future__ import annotations

import polars as pl

OWN = {"fps": "fps", "frames": "frames"}
SLACK = 1.5  # frames by which two episodes may overlap: drift, not a claim


def same_file() -> pl.Expr:
    """A number for each file with pictures, or column of one (of columns uri, column); null where there is no file. It
    tells files apart within one frame."""
    uri, column = (pl.col(c).cast(pl.Categorical()).to_physical().cast(pl.UInt64) for c in ("uri", "column"))
    return uri * 2**32 + column


def placed(cameras: pl.DataFrame) -> pl.DataFrame:
    """cameras: item, uri (null: no file), column, from_s, to_s, fps, frames, ...; in the same order."""
    ends = pl.coalesce("to_s", pl.col("from_s") + pl.col("frames") / pl.col("fps"), pl.lit(float("inf")))
    number = pl.int_range(pl.len(), dtype=pl.UInt32)
    narrow = cameras.select(n=number, file=same_file(), start="from_s", end=ends, **OWN)
    frames, slack = pl.col("frames"), SLACK / pl.col("fps")
    ordered = narrow.sort("file", "start", "n").with_columns(
        first=(frames.cum_sum() - frames).over("file"),
        whole=pl.when(frames.is_null().any().over("file")).then(None).otherwise(frames.sum().over("file")),
        clash=pl.col("file").is_not_null()
        & (pl.col("start") < pl.col("end").cum_max().shift(1).over("file") - slack).fill_null(False),
    )
    back = pl.col("n").shift(1)
    after, before = pl.col("clash").shift(-1, fill_value=False), pl.when("clash").then(back)  # both lie in one file
    ordered = ordered.with_columns(other=before.fill_null(pl.when(after).then(pl.col("n").shift(-1))))
    found = ordered.sort("n")
    return cameras.with_columns(
        first=found["first"], whole=found["whole"], claimed=cameras["item"].gather(found["other"])
    )
