"""Where in its file each episode's pictures lie: by time as the source says it, and by count where counts tell more.

In: cameras with their files, in columns. Out: the same with `first` and `whole` (the episode's first frame in the file
and how many frames the file then holds, if the lengths of the episodes before it add up; null where a length is not
known), and `claimed`: another camera of an episode that claims the same pictures. Times that were summed up from
rounded durations drift; two claims of the same pictures cannot both be right, so neither is used.
"""

from __future__ import annotations

import polars as pl

FILE = ("uri", "column")
SLACK = 1.5  # frames by which two episodes may overlap: drift, not a claim


def placed(cameras: pl.DataFrame) -> pl.DataFrame:
    """cameras: item, uri, column, from_s, to_s, fps, frames, ...; in the same order."""
    ends = pl.coalesce("to_s", pl.col("from_s") + pl.col("frames") / pl.col("fps"), pl.lit(float("inf")))
    ordered = cameras.with_row_index("_n").with_columns(_end=ends).sort(*FILE, "from_s", "_n")
    frames = pl.col("frames")
    ordered = ordered.with_columns(
        first=(frames.cum_sum() - frames).over(FILE),
        whole=pl.when(frames.is_null().any().over(FILE)).then(None).otherwise(frames.sum().over(FILE)),
        _before=pl.col("_end").cum_max().shift(1).over(FILE),
        _item_before=pl.col("item").shift(1).over(FILE),
        _item_after=pl.col("item").shift(-1).over(FILE),
    )
    clash = (pl.col("from_s") < pl.col("_before") - SLACK / pl.col("fps")).fill_null(False)
    ordered = ordered.with_columns(_clash=clash)
    after = pl.col("_clash").shift(-1).over(FILE).fill_null(False)
    claimed = pl.when("_clash").then("_item_before").when(after).then("_item_after")
    return ordered.with_columns(claimed=claimed).sort("_n").drop("^_.*$")
