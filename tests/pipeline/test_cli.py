"""What a person types and sees: help, one-line errors, exit codes."""

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from tests.datasets import Episode, write_dataset


def run(*arguments: str):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_help_names_every_command():
    result = run("--help")
    assert result.exit_code == 0
    for command in ("build", "status", "show", "quarantine", "config"):
        assert command in result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["build", "--source", "/nosuch", "--corpus", "{tmp}/c"], "no dataset under /nosuch"),
        (
            ["build", "--source", "{tmp}/logs", "--corpus", "{tmp}/c", "--set", "shard.alfa=1"],
            "shard.alfa: Extra inputs",
        ),
        (
            ["build", "--source", "{tmp}/logs", "--corpus", "{tmp}/c", "--config", "no.yaml"],
            "no configuration file no.yaml",
        ),
        (["build", "--source", "{tmp}/logs", "--corpus", "{tmp}/c", "--set", "ingest.profile=x"], "known are"),
        (
            ["build", "--source", "a={tmp}/logs", "--source", "a={tmp}/more", "--corpus", "{tmp}/c"],
            "two sources are named 'a'",
        ),
        (["status", "--corpus", "{tmp}/c"], "no corpus at {tmp}/c: build one with"),
        (["show", "events", "--corpus", "{tmp}/c"], "no corpus at"),
    ],
)
def test_an_error_that_a_person_can_mend_is_one_line(tmp_path, arguments, complaint):
    for name in ("logs", "more"):
        write_dataset(tmp_path / name, [Episode(20, 0)])
    result = run(*(a.format(tmp=tmp_path) for a in arguments))
    assert result.exit_code == 2
    assert complaint.format(tmp=tmp_path) in result.output
    assert "Traceback" not in result.output


def test_too_much_in_quarantine_is_exit_code_1(ray_session, tmp_path):
    source = write_dataset(tmp_path / "logs", [Episode(20, 0), Episode(30, 20)])
    for path in source.glob("videos/*/*/*.mp4"):
        path.unlink()
    arguments = ("build", "--source", source, "--corpus", tmp_path / "c")
    result = run(*arguments)
    assert result.exit_code == 1
    assert "2 x missing_camera" in result.output
    assert "exit code 1, since nothing came of 100% of logs (quarantine.max_share is 50%)" in result.output
    shown = run("quarantine", "--corpus", tmp_path / "c")
    assert "logs/000000  ingest  missing_camera" in shown.output
    assert run(*arguments, "--set", "quarantine.max_share=1").exit_code == 0
    assert run(*arguments, "--set", "ingest.video=ignore").exit_code == 0


def test_config_prints_every_stage():
    output = run("config", "--set", "segment.still=0.2").output
    assert "still: 0.2" in output
    assert [line.split(":")[0] for line in output.splitlines() if not line.startswith(" ")] == [
        "ingest", "observe", "align", "segment", "caption", "embed", "cluster", "shard", "run", "quarantine",
    ]  # fmt: skip
