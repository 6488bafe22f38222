"""The real recordings, end to end and together: every episode in events or in quarantine with a reason."""

import json

from pipeline.corpus.view import Corpus


def test_three_real_sets_make_one_corpus(build, real, tmp_path):
    sources = [real / name for name in ("cr5_banana", "g1_crisps", "gr1_sim_picknplace")]
    corpus_dir = tmp_path / "corpus"
    build(sources, corpus_dir, "shard.target_bytes=2000000")
    corpus = Corpus(str(corpus_dir))
    wanted = set(corpus.wanted("ingest")["item"])
    assert len(wanted) == 12 + 6 + 5
    aside = set(corpus.quarantine()["episode_id"])
    assert set(corpus.table("events")["episode_id"]) | aside == wanted
    assert not aside  # nothing is wrong with them
    counts = corpus.counts("observe")
    assert counts["decoded_frames"] == counts["source_frames"] == 2733 + 2316 + 2096
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
