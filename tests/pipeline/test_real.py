"""The real recordings, end to end and together: every episode in events or in quarantine with a reason."""

import json

import pytest

from pipeline.corpus.view import Corpus

SETS = ("cr5_banana", "g1_crisps", "gr1_sim_picknplace")
SOME = "n_rows IN (197, 198, 199, 343, 393, 328, 412)"  # of each set two or three: 2070 of 7145 rows


@pytest.mark.parametrize(
    ("where", "episodes", "frames"),
    [
        (SOME, 3 + 2 + 2, 594 + 736 + 740),
        pytest.param("n_rows > 0", 12 + 6 + 5, 2733 + 2316 + 2096, marks=pytest.mark.soak),
    ],
    ids=["some", "all"],
)
def test_three_real_sets_make_one_corpus(build, real, tmp_path, where, episodes, frames):
    corpus_dir = tmp_path / "corpus"
    build([real / name for name in SETS], corpus_dir, "shard.target_bytes=2000000", f"ingest.where={where}")
    corpus = Corpus(str(corpus_dir))
    wanted = set(corpus.wanted("ingest")["item"])
    assert len(wanted) == 12 + 6 + 5
    aside = corpus.quarantine()
    assert set(aside["reason"]) <= {"left_out"}  # nothing is wrong with them
    built = set(corpus.table("events")["episode_id"])
    assert len(built) == episodes
    assert built | set(aside["episode_id"]) == wanted
    counts = corpus.counts("observe")
    assert counts["decoded_frames"] == counts["source_frames"] == frames
    flags = dict(corpus.table("alignments").select("episode_id", "flags").iter_rows())
    assert "paired_by_position" in flags["cr5_banana/000000"]  # its rows are irregular beside a flat 10 frames/s
    assert "paired_by_position" not in flags["g1_crisps/000000"]
    stats = json.loads((corpus_dir / "shards/latest/stats.json").read_text())
    assert set(stats["robots"]) == {"cr5", "Unitree_G1_Inspire", "GR1ArmsOnly"}
    assert {r: len(s["state"]["mean"]) for r, s in stats["robots"].items()} == {
        "cr5": 6,
        "Unitree_G1_Inspire": 26,
        "GR1ArmsOnly": 44,
    }
