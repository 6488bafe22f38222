"""`corpus check`: verdicts before a build, the same after it, and a profile that reads the source as it was told."""

import json
import time

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.check import after
from pipeline.check.plots import spark
from pipeline.check.verdict import Figures, of_source
from pipeline.cli import main
from pipeline.corpus.view import Corpus
from stages.ingest.streams import Layout
from tests.arms import SO, picking, so_log, write_log
from tests.datasets import Episode, write_dataset, write_video

KNOWN = Layout(profile="so100", state=("s",), action=("a",), streams=())


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["check", *words])
    return result.exit_code, result.output


def test_a_sound_source_is_green(tmp_path):
    write_dataset(tmp_path / "logs", [Episode(60, 100 * i) for i in range(3)])
    code, text = run("--source", str(tmp_path / "logs"), "--strict")
    assert (code, "verdict    logs: green" in text) == (0, True), text
    assert "gripper/single" in text
    assert "▁" in text  # the course of a signal


def unnamed(root, number=5):
    own = [picking(i) for i in range(number)]
    return write_log(root, [{"state": s, "actions": s} for s in own], {"state": None, "actions": None})


def test_a_guess_is_yellow_and_strict_makes_that_an_exit_code(tmp_path):
    source = str(unnamed(tmp_path / "logs"))
    code, text = run("--source", source)
    assert code == 0
    assert "logs: yellow" in text
    assert "-> corpus check --source URI --write-profile mine.yaml" in text
    assert run("--source", source, "--strict")[0] == 1


@pytest.mark.parametrize("broken", ["absent", "aside"])
def test_what_cannot_be_used_is_red_with_the_next_thing_to_do(tmp_path, broken):
    source = tmp_path / "logs"
    if broken == "aside":
        so_log(source, 4)
        for path in (source / "data").rglob("*.parquet"):
            path.write_bytes(path.read_bytes()[:-30])
    code, text = run("--source", str(source))
    assert (code, "logs: red" in text, "-> " in text) == (2, True, True), text
    assert "Traceback" not in text


def test_nothing_is_written(tmp_path):
    so_log(tmp_path / "logs")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    run("--source", str(tmp_path / "logs"))
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_the_page_shows_signals_cuts_and_pictures_and_nothing_is_markup(tmp_path):
    write_dataset(tmp_path / "logs", [Episode(60, 0, "<b>put</b>")], cameras=("front", "wrist"))
    code, _ = run("--source", str(tmp_path / "logs"), "--html", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert code == 0
    assert page.count("data:image/jpeg") == 16
    assert "<polyline" in page
    assert '<span title="' in page
    assert "<b>put</b>" not in page


def test_a_written_profile_reads_the_source_as_it_was_told(tmp_path, build):
    """And with what a person puts right in it."""
    names = [f"{joint}.pos" for joint in SO]
    own = [picking(i) for i in range(5)]
    columns = {"observation.state": names, "action": names}
    write_log(tmp_path / "logs", [dict.fromkeys(columns, s) for s in own], columns, robot="somebodys_arm")
    path = tmp_path / "mine.yaml"
    code, text = run("--source", str(tmp_path / "logs"), "--write-profile", str(path))
    assert code == 0
    code, text = run("--source", str(tmp_path / "logs"), "--set", f"ingest.profile={path}")
    assert (code, "profile somebodys_arm" in text, "no robot profile fits" in text) == (0, True, False), text
    path.write_text(path.read_text().replace("unit: raw", "unit: deg"))
    _, text = run("--source", str(tmp_path / "logs"), "--set", f"ingest.profile={path}")
    assert "logs: green" in text or "no video" in text
    assert "rad/s" in text  # degrees are radians now


def test_a_build_comes_to_the_same_verdict_and_its_report_opens_with_it(tmp_path, build):
    source = str(unnamed(tmp_path / "logs"))
    _, text = run("--source", source)
    result = CliRunner().invoke(main, ["build", "--source", source, "--corpus", str(tmp_path / "corpus")])
    assert result.exit_code == 0, result.output
    assert "verdicts   1 yellow" in result.output
    (verdict,) = after.read(Corpus(str(tmp_path / "corpus")))
    assert all(b.what.split(" (")[0] in text for b in verdict.because), verdict
    page = (tmp_path / "corpus/report.html").read_text()
    assert page.index("Verdicts</h2>") < page.index("What went in</h2>")


def test_a_thousand_episodes_are_checked_in_seconds(tmp_path):
    write_log(
        tmp_path / "logs",
        [{"observation.state": picking(0, 60), "action": picking(0, 60)}] * 1000,
        {"observation.state": None, "action": None},
    )
    started = time.monotonic()
    code, text = run("--source", str(tmp_path / "logs"))
    assert code == 0
    assert "1000 episodes" in text
    assert time.monotonic() - started < 20


# -- the rules, on numbers by hand


@pytest.mark.parametrize(
    ("figures", "level", "said"),
    [
        (Figures(episodes=10, seconds=100, idle=29), "green", ""),
        (Figures(episodes=10, seconds=100, idle=31), "yellow", "at rest 31% of the time"),
        (Figures(episodes=10, seconds=100, unknown=51), "yellow", "unknown 51% of the time"),
        (Figures(episodes=100, aside={"time_gap": 5}, examples={"time_gap": "x"}), "green", ""),
        (Figures(episodes=100, aside={"time_gap": 6}, examples={"time_gap": "x"}), "yellow", "6 of 100 episodes"),
        (Figures(episodes=100, aside={"time_gap": 51}, examples={"time_gap": "x"}), "red", "51 of 100 episodes"),
        (Figures(episodes=10, flags={"gripper_unknown": 4}), "yellow", "(4 of 10 episodes)"),
    ],
)
def test_what_makes_a_source_yellow_or_red(figures, level, said):
    verdict = of_source("s", KNOWN, (), (), figures, 0.9)
    assert verdict.level == level
    assert said in " ".join(b.what for b in verdict.because)


def test_a_verdict_survives_its_file():
    verdict = of_source("s", None, (), (), Figures(), 0.9, "it is not there")
    assert after.from_rows(json.loads(json.dumps([verdict.row()]))) == [verdict]


def test_a_spark_line_shows_the_course_from_smallest_to_largest():
    assert spark(np.array([0.0, 0, 7, 7, 3.5, 3.5]), 3) == "▁█▅"
    assert spark(np.ones(5), 5) == "▁" * 5
    assert spark(np.zeros(0)) == ""


@pytest.mark.parametrize("option", ["--html", "--write-profile"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, option):
    source = str(so_log(tmp_path / "logs"))
    code, text = run("--source", source, option, str(tmp_path / "nowhere/file"))
    assert code == 2
    assert "cannot be written" in text
    assert "Traceback" not in text


def test_a_gripper_that_nobody_can_read_stays_unknown_in_the_written_profile(tmp_path):
    """A guess in a profile would be one that nobody sees any more."""
    names = [f"{joint}.pos" for joint in SO]
    own = [picking(i) for i in range(5)]
    for state in own:  # opens where it started, and no more
        state[:, 5] = np.where(np.arange(160) < 5, 2.0, 70.0)
    columns = {"observation.state": names, "action": names}
    write_log(tmp_path / "logs", [dict.fromkeys(columns, s) for s in own], columns, robot="somebodys_arm")
    path = tmp_path / "mine.yaml"
    _, text = run("--source", str(tmp_path / "logs"), "--write-profile", str(path))
    assert "nobody can tell which end of the gripper is closed" in text
    assert "gripper: [{" in path.read_text()
    _, text = run("--source", str(tmp_path / "logs"), "--set", f"ingest.profile={path}")
    assert "nobody can tell which end of the gripper is closed" in text


def test_a_rule_that_leaves_out_everything_is_said(tmp_path):
    source = str(so_log(tmp_path / "logs"))
    code, text = run("--source", source, "--set", "ingest.where=sucess")
    assert code == 0
    assert "ingest.where leaves out all of its episodes" in text


def test_how_many_episodes_each_check_would_set_aside_is_said_however_few(tmp_path):
    source = so_log(tmp_path / "logs", 24)
    path = source / "data/chunk-000/episode_000003.parquet"
    path.write_bytes(path.read_bytes()[:-30])
    code, text = run("--source", str(source))
    assert code == 0
    assert "would be set aside: 1 of 24 read, unreadable_file" in text


PROFILE = """
name: mine
match: {robot_types: [somebodys_arm]}
arms:
  single:
    joints: [{column: observation.state, indices: [0, 1, 2, 3, 4], unit: %s}]
    gripper: [{column: observation.state, indices: [%d], open: 70, closed: 2}]
"""


def test_a_source_may_have_a_profile_of_its_own(tmp_path):
    """Given to all, it is said of whom it is not made for."""
    so_log(tmp_path / "mine", 3, robot="somebodys_arm", suffix="_x")
    so_log(tmp_path / "other", 3)
    path = tmp_path / "mine.yaml"
    path.write_text(PROFILE % ("deg", 5))
    both = ["--source", str(tmp_path / "mine"), "--source", str(tmp_path / "other")]
    _, text = run(*both, "--set", f"ingest.profile={{mine: {path}}}")
    assert "mine: 3 episodes, lerobot/v2.1, robot somebodys_arm, profile mine" in text
    assert "other: 3 episodes, lerobot/v2.1, robot so101_follower, profile so100" in text
    _, text = run(*both, "--set", f"ingest.profile={path}")
    assert "made for somebodys_arm, and this robot is so101_follower" in text
    assert "other: yellow" in text


@pytest.mark.parametrize(
    ("unit", "index", "said"),
    [("degrees", 5, "unit"), ("deg", 6, "wants indices [6] of observation.state, which has 0 to 5")],
)
def test_what_a_profile_asks_for_in_vain_is_red(tmp_path, unit, index, said):
    source = so_log(tmp_path / "logs", 2, robot="somebodys_arm")
    (tmp_path / "mine.yaml").write_text(PROFILE % (unit, index))
    code, text = run("--source", str(source), "--set", f"ingest.profile={tmp_path}/mine.yaml")
    assert code == 2
    assert said in text
    assert "pydantic.dev" not in text


def test_dead_cameras_are_seen_before_a_build_and_misspelt_ones_said(tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(60, 0)], cameras=("front", "wrist"))
    write_video(source / "videos/chunk-000/observation.images.wrist/episode_000000.mp4", [[5] * 60], "h264", 20)
    _, text = run("--source", str(source), "--set", "ingest.ignore_cameras=[wirst]")
    assert "camera wrist shows nothing for most of the time" in text
    assert "'wirst' is no camera of any; they have ['front', 'wrist']" in text
    _, text = run("--source", str(source), "--set", "ingest.ignore_cameras=[wrist]")
    assert "logs: green" in text


def test_marks_are_shown_so_that_a_rule_can_name_them(tmp_path):
    source = so_log(tmp_path / "logs", 4, rows=[{"success": i != 1} for i in range(4)])
    _, text = run("--source", str(source))
    assert "mark success = True: 3 of 4 episodes read" in text


def test_an_unknown_licence_is_yellow_and_one_given_for_nobody_is_told(tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(60, 100 * i) for i in range(3)])
    assert "licence mit (README.md)" in run("--source", str(source))[1]
    (source / "README.md").unlink()
    code, text = run("--source", str(source), "--set", "ingest.licences={log: MIT}")
    assert (code, "verdict    logs: yellow" in text) == (0, True)
    assert "its licence is unknown" in text
    assert "ingest.licences: 'log' is no source here; there are logs" in text
    assert "logs: green" in run("--source", str(source), "--set", "ingest.licences=MIT")[1]
