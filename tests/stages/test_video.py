"""Frames come back as what they are: through every codec, out of every clip."""

import io
from contextlib import nullcontext

import av
import numpy as np
import pytest

from schemas.reasons import Quarantined, Reason
from stages.observe import ObserveConfig, Span
from stages.observe.file import _Counted, observe_file
from stages.video import decord_reader
from stages.video.cut import cut
from stages.video.decode import open_video, picked, scaled_size
from stages.video.encode import encode, exact_rate
from stages.video.pictures import VideoFile
from stages.video.probe import probe
from tests.datasets import number_in, numbered, write_video

GOP = 10


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("proxy") / "proxy.mp4")
    frames = (av.VideoFrame.from_ndarray(numbered(i), format="rgb24").reformat(format="yuv420p") for i in range(75))
    assert encode(path, frames, 20.0, GOP, 23) == 75
    return path


def numbers(clip: bytes) -> list[int]:
    with av.open(io.BytesIO(clip)) as container:
        return [number_in(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


@pytest.mark.parametrize("start", [0, 1, 7, 8, 9, 10, 11, 33, 64])
@pytest.mark.parametrize("length", [1, 2, 3, 9, 10, 11])
def test_a_clip_holds_its_frames_and_starts_on_a_keyframe(proxy, start, length):
    clip = cut(proxy, range(start, start + length), 20.0, GOP, 23)
    assert numbers(clip) == list(range(start, start + length))
    assert b"elst" not in clip
    with av.open(io.BytesIO(clip)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
    assert frames[0].key_frame
    assert [float(f.pts * f.time_base) for f in frames] == pytest.approx(np.arange(length) / 20)
    other = decord_reader.load().VideoReader(io.BytesIO(clip))
    assert [number_in(p) for p in other.get_batch(range(len(other))).asnumpy()] == list(range(start, start + length))


def test_most_of_a_clip_is_copied_not_encoded(proxy):
    with av.open(proxy) as container:
        source = [bytes(p) for p in container.demux(video=0) if p.size]
    with av.open(io.BytesIO(cut(proxy, range(13, 50), 20.0, GOP, 23))) as container:
        clip = [bytes(p) for p in container.demux(video=0) if p.size]
    assert clip[7:] == source[20:50]  # frames 13 to 19 are new, from the keyframe at 20 on they are the proxy's own


def test_frames_that_repeat_or_skip_are_shown_as_asked(proxy):
    assert numbers(cut(proxy, [3, 3, 4, 6, 9, 9, 12], 20.0, GOP, 23)) == [3, 3, 4, 6, 9, 9, 12]


def test_a_clip_past_the_end_is_an_error(proxy):
    with pytest.raises(ValueError, match="wanted frames 70 to 79"):
        cut(proxy, range(72, 80), 20.0, GOP, 23)


def test_picked_frames_are_the_ones_asked_for(proxy):
    assert {i: number_in(p) for i, p in picked(proxy, [74, 0, 5, 31, 31], GOP).items()} == {74: 74, 0: 0, 5: 5, 31: 31}


@pytest.mark.parametrize(
    ("codec", "wanted", "decoder"),
    [
        ("h264", "pyav", "pyav"),
        ("av1", "pyav", "pyav"),
        ("mpeg4", "pyav", "pyav"),
        ("h264", "decord", "decord"),
        ("av1", "decord", "decord"),
        ("mpeg4", "decord", "pyav"),
    ],
)
def test_every_frame_is_decoded_once_in_order(tmp_path, codec, wanted, decoder):
    path = tmp_path / "v.mp4"
    write_video(path, [range(40)], codec, 20)
    info = probe(str(path), "v.mp4")
    assert info.pts_s == pytest.approx(np.arange(40) / 20)
    name, frames = open_video(str(path), info, "v.mp4", wanted)
    assert name == decoder
    assert [number_in(f.to_ndarray(format="rgb24")) for f in frames] == list(range(40))


def test_a_width_that_decord_cannot_hand_out_goes_to_pyav(tmp_path):
    path = tmp_path / "narrow.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 144, 96, "yuv420p"
        for i in range(5):
            picture = np.full((96, 144, 3), 50 * i, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    name, frames = open_video(str(path), probe(str(path), "n"), "n", "decord")
    assert name == "pyav"
    assert [round(f.to_ndarray(format="rgb24").mean() / 50) for f in frames] == [0, 1, 2, 3, 4]


def observed(path, spans):
    """Observed of a file with these (first, end) spans of 20 frames/s as episodes s/0, s/1 ..."""
    places = [Span(f"s/{i}", "front", a / 20, b / 20, 20, f"s{i}") for i, (a, b) in enumerate(spans)]
    return observe_file(
        VideoFile(str(path), "v.mp4"),
        "v.mp4",
        places,
        ObserveConfig(),
        lambda name: nullcontext(str(path.parent / name)),
    )


def test_a_damaged_picture_is_refused_and_not_painted_over(tmp_path):
    """Decoders hide what they cannot read and say nothing; PyAV at least flags the picture."""
    path = tmp_path / "v.mp4"
    write_video(path, [range(40)], "h264", 20)
    whole = path.read_bytes()
    start, end = whole.index(b"mdat") + 800, whole.index(b"moov")  # behind x264's own words about itself
    refused = 0
    for at in np.linspace(start, end - 20, 12).astype(int):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        path.write_bytes(bytes(damaged))
        result = observed(path, [(0, 40)])
        refused += len(result.refused)
        for row in result.rows:
            shown = picked(str(tmp_path / row["proxy"]), list(range(40)), row["gop"])
            assert [number_in(shown[i]) for i in range(40)] == list(range(40))
    assert refused >= 6


def test_damage_lasts_to_the_next_keyframe_and_no_further(tmp_path):
    """A keyframe every 12 frames, frame 30 flagged: later episodes of the file are whole."""
    path = tmp_path / "v.mp4"
    write_video(path, [range(96)], "mpeg4", 20)
    frames = list(open_video(str(path), probe(str(path), "v.mp4"), "v.mp4")[1])

    class Flagged:
        """A frame as PyAV gives it, with the flag of a damaged one."""

        is_corrupt = True

        def __init__(self, frame):
            self.frame = frame

        def __getattr__(self, name):
            return getattr(self.frame, name)

    counted = _Counted(iter([*frames[:30], Flagged(frames[30]), *frames[31:]]))
    state = []
    for _ in counted.take(96):
        state.append(counted.damaged)
    bad = [i for i, damaged in enumerate(state) if damaged is not None]
    assert bad == list(range(30, 36))  # up to the next keyframe


def test_a_frame_that_the_decoder_leaves_out_does_not_move_the_later_ones(tmp_path):
    path = tmp_path / "v.mp4"
    write_video(path, [range(40)], "mpeg4", 20)
    info = probe(str(path), "v.mp4")
    frames = list(open_video(str(path), info, "v.mp4")[1])
    from stages.video.decode import _told

    with pytest.raises(
        Quarantined, match=r"frame 7 cannot be decoded: the next one is shown at 0.400 s, expected 0.350"
    ):
        list(_told(iter(frames[:7] + frames[8:]), info, "v.mp4"))


@pytest.mark.parametrize("content", [b"", b"not a video at all"])
def test_what_is_no_video_is_quarantined(tmp_path, content):
    path = tmp_path / "v.mp4"
    path.write_bytes(content)
    with pytest.raises(Quarantined) as error:
        probe(str(path), "s3://bucket/v.mp4")
    assert error.value.reason is Reason.VIDEO_UNREADABLE
    found = f"{len(content)} bytes, Invalid data found when processing input"
    assert error.value.message == f"s3://bucket/v.mp4: {found}; expected a whole video file"


@pytest.mark.parametrize(
    ("size", "scaled"),
    [((640, 480), (342, 256)), ((256, 256), (256, 256)), ((96, 64), (96, 64)), ((480, 640), (256, 342))],
)
def test_the_short_side_is_scaled_down_never_up(size, scaled):
    assert scaled_size(*size, 256) == scaled


@pytest.mark.parametrize(("fps", "rate"), [(20.0, "20"), (29.97, "30000/1001"), (30.0, "30"), (12.5, "25/2")])
def test_rates_are_exact_fractions(fps, rate):
    assert str(exact_rate(fps)) == rate
