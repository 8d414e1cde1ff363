"""Reading and writing videos."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.data import video
from mot_reid.data.video import VideoReader, describe_video, frames
from mot_reid.data.video_writer import VideoWriter


def _grey(level: int, *, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*size, 3), level, dtype=np.uint8)


def _clip(path: Path, levels: list[int], *, frame_rate: float = 20) -> Path:
    with VideoWriter(path, frame_rate=frame_rate) as writer:
        for level in levels:
            writer.write(_grey(level))
    return path


def _images(folder: Path, levels: list[int]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, level in enumerate(levels, start=1):
        Image.fromarray(_grey(level)).save(folder / f"{number:06d}.png")
    return folder


class _FakeCapture:
    """OpenCV's capture, told by a script: a number is a grey frame, None a lost connection, "broken" a bad frame."""

    def __init__(self, script: list, *, count: int = 0) -> None:
        self._script = script
        self._count = count
        self._frame: object = None

    def isOpened(self) -> bool:
        return True

    def get(self, key: int) -> float:
        import cv2

        return {cv2.CAP_PROP_FPS: 25.0, cv2.CAP_PROP_FRAME_COUNT: float(self._count)}.get(key, 0.0)

    def grab(self) -> bool:
        self._frame = self._script.pop(0) if self._script else None
        return self._frame is not None

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        return (False, None) if self._frame == "broken" else (True, _grey(int(str(self._frame))))

    def release(self) -> None:
        pass


def _fake(monkeypatch: pytest.MonkeyPatch, script: list, *, count: int = 0) -> None:
    monkeypatch.setattr(video, "_capture", lambda address: _FakeCapture(script, count=count))
    monkeypatch.setattr(video, "_WAIT_SECONDS", 0.005)


@pytest.mark.parametrize("ending", [".mp4", ".avi", ".mkv"])
def test_what_was_written_is_read_back(tmp_path: Path, ending: str) -> None:
    path = _clip(tmp_path / f"clip{ending}", [10, 100, 200])
    with VideoReader(path) as reader:
        assert (reader.width, reader.height) == (64, 48)
        assert reader.frame_rate == pytest.approx(20)
        read = list(reader)
    assert [frame.number for frame in read] == [1, 2, 3]
    assert [round(float(frame.image.mean()), -1) for frame in read] == [10, 100, 200]
    assert [frame.time_seconds for frame in read] == pytest.approx([0, 0.05, 0.1], abs=1e-3)


def test_colours_are_blue_green_red(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (250, 0, 0)).save(tmp_path / "red.png")
    assert next(frames(tmp_path)).image[0, 0].tolist() == [0, 0, 250]


def test_reader_of_a_folder_takes_the_order_of_names(tmp_path: Path) -> None:
    folder = _images(tmp_path / "img", [5, 6, 7])
    (folder / "notes.txt").write_text("x")
    read = list(frames(folder, frame_rate=10))
    assert [int(frame.image[0, 0, 0]) for frame in read] == [5, 6, 7]
    assert [frame.time_seconds for frame in read] == pytest.approx([0, 0.1, 0.2])


def test_reader_of_a_sequence_knows_its_frame_rate(tmp_path: Path) -> None:
    _images(tmp_path / "img1", [1, 2])
    (tmp_path / "seqinfo.ini").write_text(
        "[Sequence]\nname=a\nframeRate=14\nseqLength=2\nimWidth=64\nimHeight=48\n", encoding="utf-8"
    )
    for source in (tmp_path, tmp_path / "img1"):
        with VideoReader(source) as reader:
            assert (reader.frame_rate, reader.length, len(list(reader))) == (14, 2, 2)


def test_frames_of_a_sequence_keep_the_numbers_of_their_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _images(tmp_path / "img1", [1, 2, 3, 4])
    (tmp_path / "img1" / "000002.png").unlink()
    (tmp_path / "seqinfo.ini").write_text(
        "[Sequence]\nname=a\nframeRate=10\nseqLength=6\nimWidth=64\nimHeight=48\n", encoding="utf-8"
    )
    with caplog.at_level(logging.WARNING):
        read = list(frames(tmp_path))
    assert [(frame.number, int(frame.image[0, 0, 0])) for frame in read] == [(1, 1), (3, 3), (4, 4)]
    assert [frame.time_seconds for frame in read] == pytest.approx([0, 0.2, 0.3])
    assert "img1: 3 of 6 frames are missing, frame 2 first" in caplog.text


def test_frames_of_a_sequence_are_counted_where_names_are_no_numbers(tmp_path: Path) -> None:
    _images(tmp_path / "img1", [1, 2])
    (tmp_path / "img1" / "000001.png").rename(tmp_path / "img1" / "a000001.png")
    (tmp_path / "seqinfo.ini").write_text(
        "[Sequence]\nname=a\nframeRate=10\nseqLength=2\nimWidth=64\nimHeight=48\n", encoding="utf-8"
    )
    assert [frame.number for frame in frames(tmp_path)] == [1, 2]


def test_broken_image_is_counted_and_keeps_its_number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = _images(tmp_path, [1, 2, 3])
    (folder / "000002.png").write_bytes(b"x")
    with caplog.at_level(logging.WARNING), VideoReader(folder) as reader:
        assert [frame.number for frame in reader] == [1, 3]
        assert reader.broken == 1
    assert "000002.png" in caplog.text


def test_broken_frame_of_a_file_is_counted_and_keeps_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    _fake(monkeypatch, [1, "broken", 3], count=3)
    with VideoReader(tmp_path / "a.mp4") as reader:
        assert [frame.number for frame in reader] == [1, 3]
        assert reader.broken == 1


def test_file_cut_short_gives_what_there_is_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    _fake(monkeypatch, [1, 2], count=9)
    with caplog.at_level(logging.WARNING), VideoReader(tmp_path / "a.mp4") as reader:
        assert len(list(reader)) == 2
    assert "ended after 2 of 9 frames" in caplog.text


def _encode(path: Path, codec: str, *, skip: range = range(0), pixels: str = "yuv420p") -> Path:
    """40 frames at 10 a second, each 5 levels brighter than the one before, those of `skip` never written."""
    av = pytest.importorskip("av")
    try:
        av.codec.Codec(codec, "w")
    except Exception:
        pytest.skip(f"this PyAV has no {codec}")
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for number in range(1, 41):
            frame = av.VideoFrame.from_ndarray(_grey(5 * number), format="bgr24")
            frame.pts, frame.time_base = number - 1, Fraction(1, 10)
            if number not in skip:
                file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def _damage(path: Path, numbers: range) -> None:
    """Overwrites encoded frames of a file, counted from 1, with zeros."""
    import av

    with av.open(str(path)) as file:
        packets = [(packet.pos, packet.size) for packet in file.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for number in numbers:
        at, size = packets[number - 1]
        content[at : at + size] = bytes(size)
    path.write_bytes(content)


def _levels(read: list[video.Frame]) -> list[int]:
    """The frame numbers that the brightness of the pictures says."""
    return [round((float(frame.image.mean()) + 2) / 5) for frame in read]


@pytest.mark.parametrize(("name", "codec", "pixels"), [("a.avi", "mjpeg", "yuvj420p"), ("a.mov", "mjpeg", "yuvj420p")])
def test_damaged_frames_of_a_file_are_lost_and_shift_no_number(
    tmp_path: Path, name: str, codec: str, pixels: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Three damaged frames in the middle used to end the file; each picture has the number that it shows."""
    path = _encode(tmp_path / name, codec, pixels=pixels)
    _damage(path, range(10, 13))
    with caplog.at_level(logging.WARNING), VideoReader(path) as reader:
        read = list(reader)
        assert [frame.number for frame in read] == _levels(read) == [*range(1, 10), *range(13, 41)]
        assert (reader.lost, reader.broken, reader.truncated) == (3, 0, False)
    assert [frame.time_seconds for frame in read] == pytest.approx([(frame.number - 1) / 10 for frame in read])
    assert "3 frames lost before frame 13" in caplog.text


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mjpeg"), ("a.webm", "libvpx-vp9")]
)
def test_frames_that_were_never_recorded_are_a_gap(tmp_path: Path, name: str, codec: str) -> None:
    """As a camera that drops frames under load writes them: the time stamps go on."""
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = _encode(tmp_path / name, codec, skip=range(11, 16), pixels=pixels)
    with VideoReader(path) as reader:
        read = list(reader)
        assert [frame.number for frame in read] == _levels(read) == [*range(1, 11), *range(16, 41)]
        assert (reader.lost, reader.truncated) == (5, False)


def test_damaged_last_frames_are_lost_and_the_file_is_not_called_truncated(tmp_path: Path) -> None:
    path = _encode(tmp_path / "a.avi", "mjpeg", pixels="yuvj420p")
    _damage(path, range(38, 41))
    with VideoReader(path) as reader:
        assert [frame.number for frame in reader] == list(range(1, 38))
        assert (reader.lost, reader.truncated) == (3, False)


@pytest.mark.parametrize("name", ["a.mkv", "a.avi"])
def test_file_cut_in_half_is_truncated(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    path = _encode(tmp_path / name, "mjpeg", pixels="yuvj420p")
    with pytest.importorskip("av").open(str(path)) as file:
        twentieth = [packet.pos for packet in file.demux() if packet.pos is not None][19]
    path.write_bytes(path.read_bytes()[: twentieth + 50])
    with caplog.at_level(logging.WARNING), VideoReader(path) as reader:
        count = len(list(reader))
        assert 19 <= count <= 20 and reader.length == 40 and reader.truncated
        assert count + reader.lost + reader.broken == 40
    assert f"truncated: ended after {count} of 40 frames" in caplog.text


def test_whole_file_with_longer_sound_is_not_truncated(tmp_path: Path) -> None:
    """Matroska announces the duration of the longest stream, of which OpenCV computes a number of frames."""
    av = pytest.importorskip("av")
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as file:
        picture, sound = file.add_stream("mjpeg", rate=10), file.add_stream("pcm_s16le", rate=8000, layout="mono")
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
        for number in range(20):
            file.mux(picture.encode(av.VideoFrame.from_ndarray(_grey(5 * number), format="bgr24")))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 24000), np.int16), format="s16", layout="mono")
        silence.sample_rate = 8000
        file.mux(sound.encode(silence))
        for stream in (picture, sound):
            file.mux(stream.encode())
    with VideoReader(path) as reader:
        assert len(list(reader)) == 20
        assert (reader.truncated, reader.lost) == (False, 0)


def test_recording_without_its_index_is_named(tmp_path: Path) -> None:
    path = _encode(tmp_path / "a.mp4", "mpeg4")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])
    with pytest.raises(ValueError, match=r"cannot be read as a video \(an MP4 without its index, .* cut off"):
        VideoReader(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"cannot be read as a video \(it is empty\)"):
        VideoReader(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_av1_is_decoded(tmp_path: Path, name: str) -> None:
    path = _encode(tmp_path / name, "libsvtav1")
    with VideoReader(path) as reader:
        assert (reader.width, reader.height, reader.frame_rate, reader.length) == (64, 48, 10, 40)
        read = list(reader)
        assert [frame.number for frame in read] == _levels(read) == list(range(1, 41))
        assert (reader.broken, reader.lost, reader.truncated) == (0, 0, False)
    assert describe_video(path) == (64, 48, 10, 40)


def test_av1_without_pyav_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    path = _encode(tmp_path / "a.mp4", "libsvtav1")
    if cv2.VideoCapture(str(path)).grab():
        pytest.skip("this OpenCV decodes AV1")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"a\.mp4' in the codec AV1, which OpenCV cannot decode .*pip install av, or"):
        VideoReader(path)


@pytest.mark.parametrize(
    "name",
    ["[cam1] street.avi", "0000", "12", "100%d.avi", "12:30.avi", "a, b.avi", "rtsp:", "http:", "#1.avi", "{name}.avi"],
)
def test_what_exists_is_read_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A name with an ending is a file, one without a folder of images; relative, as people type it."""
    monkeypatch.chdir(tmp_path)
    made = _clip(Path("made.avi"), [10, 20, 30])
    if name.endswith(".avi"):
        made.rename(name)
    else:
        _images(tmp_path / name, [10, 20, 30])
    assert [frame.number for frame in frames(name)] == [1, 2, 3]
    if name.endswith(":"):
        (tmp_path / name / "cam").mkdir()
        _images(tmp_path / name / "cam", [10, 20])
        assert len(list(frames(f"{name}//cam"))) == 2


def test_single_image_is_one_frame(tmp_path: Path) -> None:
    folder = _images(tmp_path, [1, 2, 3])
    assert [int(frame.image[0, 0, 0]) for frame in frames(folder / "000002.png")] == [2]


def _named(folder: Path, *names: str) -> Path:
    """An image for each name, the n-th of brightness n."""
    for level, name in enumerate(names, start=1):
        Image.fromarray(_grey(level)).save(folder / name)
    return folder


@pytest.mark.parametrize(
    ("names", "numbers", "lost"),
    [
        ([f"{n}.png" for n in range(1, 41)], list(range(1, 41)), 0),
        ([f"frame_{n}.png" for n in (8, 9, 10, 11)], [8, 9, 10, 11], 0),
        (["1.png", "2.png", "5.png"], [1, 2, 5], 2),
        ([f"cam2_{n:04d}.png" for n in (0, 1, 3)], [1, 2, 4], 1),
        ([f"0007_c1s1_{n:06d}_03.png" for n in (99, 100, 102)], [99, 100, 102], 1),
        (["b.png", "c.png"], [1, 2], 0),
        (["9.png"], [9], 0),
    ],
)
def test_images_are_in_natural_order_and_numbered_by_their_names(
    tmp_path: Path, names: list[str], numbers: list[int], lost: int, caplog: pytest.LogCaptureFixture
) -> None:
    with VideoReader(_named(tmp_path, *names), frame_rate=10) as reader:
        read = list(reader)
        assert [int(frame.image[0, 0, 0]) for frame in read] == list(range(1, len(names) + 1))
        assert [frame.number for frame in read] == numbers
        assert reader.lost == lost and reader.length == len(names)
    assert [frame.time_seconds for frame in read] == pytest.approx([(n - numbers[0]) / 10 for n in numbers])
    assert ("frames are missing" in caplog.text) == (lost > 0)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["1.png", "2.png", "10.png", "cover.png"], "got 'cover' among names such as '1', so that frames are counted"),
        (["a1.png", "a2.png", "b1.png"], "got 'b1' among names such as 'a1', so that frames are counted"),
        (["10-01.png", "10-59.png", "11-02.png"], "names such as '10-01' and '11-02' differ in several numbers"),
        (["1700000000033.png", "1700000000066.png"], "the number in '1700000000066' is too large for a frame's"),
    ],
)
def test_images_whose_names_give_no_number_are_counted_and_it_is_said(
    tmp_path: Path, names: list[str], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert [frame.number for frame in frames(_named(tmp_path, *names))] == list(range(1, len(names) + 1))
    assert message in caplog.text


def test_two_images_of_one_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"got '01\.png' and '1\.png', which are both number 1; expected one image a frame"
    ):
        VideoReader(_named(tmp_path, "1.png", "01.png"))


def test_folder_says_which_images_are_deeper(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cam1").mkdir()
    _named(tmp_path / "cam1", "1.png", "2.png")
    (tmp_path / "._1.png").write_bytes(b"a shadow of another system")
    with pytest.raises(ValueError, match=r"without images; .*; its folder 'cam1' has images: name that"):
        VideoReader(tmp_path)
    _named(tmp_path, "1.png")
    assert len(list(frames(tmp_path))) == 1
    assert f"passed over 2 files in '{tmp_path}': cam1/1.png, cam1/2.png" in caplog.text


def test_folder_of_videos_names_one(tmp_path: Path) -> None:
    _clip(tmp_path / "a.avi", [1])
    with pytest.raises(ValueError, match=r"without images; .*; name a video in it, such as '.*a\.avi'"):
        VideoReader(tmp_path)


def test_stream_that_drops_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _fake(monkeypatch, [1, 2, None, None, 3, 4, None, 5, 6])
    with VideoReader("rtsp://camera/1", ahead=100) as reader:
        read = []
        for frame in reader:
            read.append(frame)
            if len(read) == 6:
                break
    assert [int(frame.image[0, 0, 0]) for frame in read] == [1, 2, 3, 4, 5, 6]
    assert [frame.number for frame in read] == [1, 2, 3, 4, 5, 6]
    assert reader.reopened >= 3
    assert all(a.time_seconds < b.time_seconds for a, b in pairwise(read))


def test_stream_that_is_gone_raises_after_the_frames_it_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    _fake(monkeypatch, [1, 2])
    monkeypatch.setattr(_FakeCapture, "isOpened", lambda self: bool(self._script))
    with VideoReader("rtsp://camera/1", attempts=2, ahead=100) as reader:
        read = []
        with pytest.raises(ConnectionError, match=r"stream: lost 'rtsp://camera/1' .* in 2 attempts"):
            for frame in reader:
                read.append(frame.number)
    assert read == [1, 2]


def test_stream_drops_the_oldest_frame_when_the_caller_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    _fake(monkeypatch, list(range(1, 51)))
    monkeypatch.setattr(_FakeCapture, "isOpened", lambda self: bool(self._script))
    with VideoReader("rtsp://camera/1", attempts=1, ahead=2) as reader:
        time.sleep(0.2)
        waiting = next(iter(reader))
    assert waiting.number > 40 and reader.dropped >= 40


def test_file_never_drops_a_frame(tmp_path: Path) -> None:
    path = _clip(tmp_path / "a.avi", list(range(0, 120, 4)))
    with VideoReader(path, ahead=1) as reader:
        time.sleep(0.1)
        assert [frame.number for frame in reader] == list(range(1, 31))
        assert reader.dropped == 0


def test_reader_can_be_left_early(tmp_path: Path) -> None:
    path = _clip(tmp_path / "a.avi", [1] * 30)
    with VideoReader(path, ahead=1) as reader:
        assert next(iter(reader)).number == 1
    assert not reader._thread.is_alive()


@pytest.mark.parametrize("content", [b"", b"hello" * 100, b"\0" * 1000])
def test_reader_refuses_a_file_that_is_no_video(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(ValueError, match=r"video: got '.*a\.mp4', which cannot be read as a video"):
        VideoReader(tmp_path / "a.mp4")


def test_reader_refuses_in_one_line_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("hello" * 100)
    code = """import sys
from mot_reid.data.video import VideoReader
try:
    VideoReader(sys.argv[1])
except ValueError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.mp4")], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\n") == 1 and done.stderr == ""


def test_reader_refuses_a_video_without_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    (tmp_path / "a.mp4").write_bytes(b"x")
    _fake(monkeypatch, [], count=5)
    with pytest.raises(ValueError, match="without a frame that can be decoded"):
        VideoReader(tmp_path / "a.mp4")


def test_reader_advises_pyav_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    _fake(monkeypatch, [], count=5)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"which OpenCV cannot decode here; .* pip install av"):
        VideoReader(tmp_path / "a.mp4")


def test_reader_names_what_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"video: got '.*gone\.mp4'; expected an existing file, folder"):
        VideoReader(tmp_path / "gone.mp4")


def test_reader_refuses_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"video: got the folder '.*' without images; expected \.bmp"):
        VideoReader(tmp_path)


def test_writer_writes_what_browsers_play(tmp_path: Path) -> None:
    """H.264 in 4:2:0 with the index in front; an independent reader counts the frames and sees their levels."""
    av = pytest.importorskip("av")
    path = _clip(tmp_path / "a.mp4", [40, 120, 200], frame_rate=12.5)
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, float(stream.average_rate)) == ("h264", "yuv420p", 12.5)
        assert [round(frame.to_ndarray(format="bgr24").mean(), -1) for frame in file.decode(video=0)] == [40, 120, 200]
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_writer_doubles_the_last_row_and_column_of_odd_frames(tmp_path: Path) -> None:
    pytest.importorskip("av")
    image = np.full((47, 63, 3), 90, np.uint8)
    image[:, -1] = image[-1] = 200
    with VideoWriter(tmp_path / "a.mp4", frame_rate=10) as writer:
        writer.write(image)
    with VideoReader(tmp_path / "a.mp4") as reader:
        found = next(iter(reader)).image
    assert found.shape == (48, 64, 3)
    assert found[:-4, :-4].mean() == pytest.approx(90, abs=4) and found[:, -1].mean() == pytest.approx(200, abs=8)


def test_writer_goes_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    path = _clip(tmp_path / "a.mp4", [40, 120])
    with VideoReader(path) as reader:
        assert [round(frame.image.mean(), -1) for frame in reader] == [40, 120]


def test_writer_leaves_nothing_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / "a.mp4", frame_rate=10) as writer:
        writer.write(_grey(1))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_writer_gives_the_name_at_the_end_only(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "new" / "a.mp4", frame_rate=10) as writer:
        writer.write(_grey(1))
        assert not (tmp_path / "new" / "a.mp4").exists()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.mp4"]


def test_writer_keeps_the_old_video_when_it_fails(tmp_path: Path) -> None:
    path = _clip(tmp_path / "a.avi", [1, 2])
    before = path.read_bytes()
    with pytest.raises(RuntimeError), VideoWriter(path, frame_rate=10) as writer:
        writer.write(_grey(9))
        raise RuntimeError
    assert path.read_bytes() == before


def test_writer_of_no_frame_makes_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", frame_rate=10):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (_grey(1, size=(10, 12)), "got 12x10; expected .* as in the first frame"),
        (np.zeros((48, 64), dtype=np.uint8), r"got uint8\[48, 64\]; expected uint8 \(H, W, 3\)"),
        (np.zeros((48, 64, 3)), r"got float64\[48, 64, 3\]; expected uint8"),
    ],
)
def test_writer_refuses_another_kind_of_frame(tmp_path: Path, image: np.ndarray, message: str) -> None:
    with VideoWriter(tmp_path / "a.mp4", frame_rate=10) as writer:
        writer.write(_grey(1))
        with pytest.raises(ValueError, match=f"video frame: {message}"):
            writer.write(image)


def test_writer_fits_a_frame_of_another_size_where_asked(tmp_path: Path) -> None:
    """By hand: 128 x 48 into 64 x 48 is scaled by a half, so that 12 rows above and below are black."""
    with VideoWriter(tmp_path / "a.avi", frame_rate=10) as writer:
        assert [writer.write_fitted(_grey(200, size=size)) for size in ((48, 64), (48, 128), (48, 64))] == [0, 1, 0]
    middle = list(frames(tmp_path / "a.avi"))[1].image
    assert middle.shape == (48, 64, 3)
    assert middle[:8].mean() < 8 and middle[-8:].mean() < 8 and middle[16:32].mean() == pytest.approx(200, abs=4)


def test_writer_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"video output: got '.*a\.gif'; expected a name ending in \.mp4"):
        VideoWriter(tmp_path / "a.gif", frame_rate=10)
    with pytest.raises(ValueError, match="frame_rate: got 0; expected a number above 0"):
        VideoWriter(tmp_path / "a.mp4", frame_rate=0)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match=r"video output: got '.*' \(.*\); expected a folder to write to"):
        VideoWriter(tmp_path / "file" / "a.mp4", frame_rate=10)


@pytest.mark.data
def test_real_video_has_the_frames_of_its_ground_truth(real_data: Path) -> None:
    with VideoReader(real_data / "video" / "pets09-s2l1.avi") as reader:
        assert (reader.width, reader.height, reader.frame_rate, reader.length) == (480, 360, 10, 795)
        times = [(frame.number, frame.time_seconds) for frame in reader]
    assert [number for number, _ in times] == list(range(1, 796))
    assert times[-1][1] == pytest.approx(79.4)
    assert reader.broken == 0


def test_file_that_announces_no_length_is_read_once_and_in_full(tmp_path: Path) -> None:
    """As browsers record: Matroska without a duration, here with the duration made padding."""
    path = tmp_path / "a.mkv"
    with VideoWriter(path, frame_rate=10) as writer:
        for shade in range(12):
            writer.write(np.full((48, 64, 3), 20 * shade, dtype=np.uint8))
    content = path.read_bytes()
    at = content.index(b"\x44\x89\x88")
    path.write_bytes(content[:at] + b"\xec\x89" + bytes(9) + content[at + 11 :])
    told = describe_video(path)
    assert (told.width, told.height, told.length) == (64, 48, None)
    with VideoReader(path) as reader:
        assert reader.length is None
        assert [frame.number for frame in reader] == list(range(1, 13))
        assert (reader.dropped, reader.reopened) == (0, 0)


def test_description_of_a_video_needs_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with VideoWriter(path, frame_rate=12.5) as writer:
        for _ in range(3):
            writer.write(np.zeros((48, 64, 3), dtype=np.uint8))
    assert describe_video(path) == (64, 48, 12.5, 3)
    with pytest.raises(FileNotFoundError):
        describe_video(tmp_path / "none.avi")
    path.write_bytes(b"notes")
    with pytest.raises(ValueError, match="cannot be read as a video"):
        describe_video(path)
