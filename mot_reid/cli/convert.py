"""Takes tracks to annotation tools and benchmarks: `mot-reid convert source=tracks.txt output=task.zip`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mot_reid.cli.command import Command, Given, check_output
from mot_reid.settings.conversion import ConvertSettings
from mot_reid.settings.load import ConfigError

if TYPE_CHECKING:
    from mot_reid.structures import TrackTable

COMMAND = Command(
    "convert",
    ConvertSettings,
    usage="source=FILE output=FILE|FOLDER [format=FORMAT] [video=FILE] [key=value ...]",
    about="""
Takes tracks to CVAT, COCO or Label Studio, to be corrected there, and takes the corrected ones back, as tracks or as a
sequence with ground truth to score and to train on. Crops of people go to CVAT's Market-1501 and back. With
format=submission a folder of results becomes the zip that a benchmark's server takes. With format=clips the tracks of
a .csv with a column label become clips to train an action classifier on.""",
    examples=(
        "source=tracks.txt output=task.zip",
        "source=tracks.txt output=tasks.json format=label_studio video=video.mp4 url=/data/local-files/?d=video.mp4",
        "source=corrected.zip output=my/sequence video=video.mp4",
        "source=my/people output=people.zip format=market1501",
        "source=corrected_people.zip output=my/corrected",
        "source=results output=tracker.zip format=submission benchmark=DanceTrack",
        "source=labelled.csv video=video.mp4 output=my/clips format=clips",
    ),
)
_BY_ENDING = {".txt": "tracks", ".csv": "tracks", ".parquet": "tracks", ".zip": "cvat", "": "sequence"}
_DEFAULT_LABEL = "person"


@dataclass(frozen=True)
class _Video:
    """Size, frame rate and length of a video, as far as they are known."""

    width: int | None
    height: int | None
    frame_rate: float | None
    frames: int | None

    def need(self, *names: str, why: str) -> None:
        """Refuses what cannot be done without the values of these names."""
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            raise ConfigError(
                f"command line: {', '.join(missing)}: got none; {why} needs it; expected video=FILE or it"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        assert self.width is not None and self.height is not None
        return self.width, self.height


def main(argv: Sequence[str]) -> int:
    """Converts one file; returns the exit code."""
    return COMMAND.run(_convert, argv)


def _convert(settings: ConvertSettings, given: Given) -> None:
    """Reads, writes, and prints what was written."""
    from mot_reid.data.cvat_people import is_people_zip

    if settings.format == "market1501" or is_people_zip(settings.source):
        _convert_people(settings)
        return
    kind = settings.format or _BY_ENDING.get(Path(settings.output).suffix)
    if kind is None:
        raise ConfigError(f"command line: format: got none for '{settings.output}'; expected format=coco or another")
    if kind not in ("sequence", "clips"):
        check_output("output", settings.output)
    if kind == "submission":
        _submit(settings)
        return
    if kind == "clips":
        _cut_clips(settings)
        return
    if settings.benchmark is not None:
        raise ConfigError("command line: benchmark: got no format=submission; expected both")
    video = _video(settings)
    table = _read(settings, video)
    path = _write(settings, kind, table, video)
    people = len(set(table.track_id.tolist()))
    print(f"{path}: {people:,} people, {len(table):,} boxes")


def _convert_people(settings: ConvertSettings) -> None:
    """Takes a data set of crops to CVAT's Market-1501, or back to lists for `data=csv`."""
    from mot_reid.data import cvat_people, splits

    source = Path(settings.source)
    if source.is_file() and source.suffix == ".zip":
        if settings.format not in (None, "market1501") or Path(settings.output).suffix in _BY_ENDING.keys() - {""}:
            raise ConfigError(
                f"command line: output: got '{settings.output}', format={settings.format} for crops of people; "
                "expected a new folder, and no format"
            )
        listed = cvat_people.read_people(source, settings.output)
        print(f"{settings.output}: {', '.join(f'{count:,} images in {name}.csv' for name, count in listed.items())}")
        return
    if Path(settings.output).suffix != ".zip":
        raise ConfigError(f"command line: output: got '{settings.output}'; expected a .zip for format=market1501")
    check_output("output", settings.output)
    found = splits.read(splits.recognise(source), source)
    print(f"{cvat_people.write_people(settings.output, found)}: {sum(map(len, found)):,} images")


def _submit(settings: ConvertSettings) -> None:
    """Writes the zip of a benchmark's server, and prints what is in it."""
    from mot_reid.data.motchallenge import list_results
    from mot_reid.data.submission import write_submission
    from mot_reid.data.tables import read_tracks

    if Path(settings.output).suffix != ".zip":
        raise ConfigError(f"command line: output: got '{settings.output}'; expected a .zip for format=submission")
    if settings.benchmark is None:
        raise ConfigError("command line: benchmark: got none; expected the benchmark that format=submission is for")
    if not Path(settings.source).is_dir():
        raise ConfigError(
            f"command line: source: got '{settings.source}'; expected a folder with a file for each sequence"
        )
    results = {name: read_tracks(path) for name, path in list_results(settings.source).items()}
    files = write_submission(settings.output, results, benchmark=settings.benchmark)
    boxes = sum(len(table) for table in results.values())
    print(f"{settings.output}: {len(files)} files for {settings.benchmark}, {files[0]} to {files[-1]}, {boxes:,} boxes")


def _cut_clips(settings: ConvertSettings) -> None:
    """Writes the clips of labelled tracks, and prints how many of each."""
    from mot_reid.data.labelled_clips import labelled_windows, read_labels, write_clips
    from mot_reid.data.tables import read_tracks
    from mot_reid.data.video import VideoReader

    if settings.video is None:
        raise ConfigError("command line: video: got none; expected the video that format=clips cuts")
    label, table = read_labels(settings.source), read_tracks(settings.source)
    with VideoReader(settings.video) as video:
        rate = settings.frame_rate or video.frame_rate
        chosen = labelled_windows(table, label, frame_rate=rate, seconds=settings.seconds)
        name = Path(settings.video).stem
        written = write_clips(settings.output, video, chosen, name=name, frame_rate=rate)
    print(f"{settings.output}: {', '.join(f'{count:,} clips of {name}' for name, count in sorted(written.items()))}")


def _video(settings: ConvertSettings) -> _Video:
    """Returns what the video says of itself, or what the keys say."""
    found = _Video(settings.width, settings.height, settings.frame_rate, settings.frames)
    if settings.video is None:
        return found
    from mot_reid.data.video import describe_video

    told = describe_video(settings.video)
    return _Video(
        settings.width or told.width or None,
        settings.height or told.height or None,
        settings.frame_rate or told.frame_rate,
        settings.frames or told.length,
    )


def _read(settings: ConvertSettings, video: _Video) -> TrackTable:
    """Returns the tracks of the source, whose kind its ending and its content say."""
    from mot_reid.data import annotations
    from mot_reid.data.label_studio import read_label_studio
    from mot_reid.data.tables import read_tracks

    source = Path(settings.source)
    if source.suffix == ".zip":
        return annotations.read_cvat(source, label=settings.label)
    if source.suffix != ".json":
        return read_tracks(source)
    if not isinstance(annotations.read_json(source), list):
        return annotations.read_coco(source, label=settings.label)
    video.need("width", "height", why="a file of Label Studio, which counts in percent,")
    return read_label_studio(source, size=video.size, label=settings.label)


def _write(settings: ConvertSettings, kind: str, table: TrackTable, video: _Video) -> Path:
    """Writes the tracks; returns the path."""
    from mot_reid.data import annotations
    from mot_reid.data.label_studio import write_label_studio
    from mot_reid.data.tables import write_tracks

    output, label = settings.output, settings.label or _DEFAULT_LABEL
    if kind == "tracks":
        return write_tracks(output, table)
    if kind == "cvat":
        return annotations.write_cvat(output, table, label=label)
    if kind == "coco":
        return annotations.write_coco(output, table, label=label)
    if kind == "sequence":
        return _write_sequence(Path(output), table, video)
    video.need("width", "height", "frame_rate", "frames", why="Label Studio")
    assert video.frame_rate is not None and video.frames is not None
    return write_label_studio(
        output, table, video=settings.url or settings.video or "", size=video.size, frame_rate=video.frame_rate,
        length=video.frames, label=label,
    )  # fmt: skip


def _write_sequence(folder: Path, table: TrackTable, video: _Video) -> Path:
    """Writes seqinfo.ini and gt/gt.txt; returns the folder."""
    from mot_reid.data.motchallenge import PEDESTRIAN, write_ground_truth, write_sequence
    from mot_reid.data.motchallenge import Sequence as MotSequence

    video.need("width", "height", "frame_rate", "frames", why="a sequence")
    assert video.frame_rate is not None and video.frames is not None
    sequence = MotSequence(folder, folder.resolve().name, "img1", video.frame_rate, video.frames, *video.size, ".jpg")
    write_sequence(sequence)
    write_ground_truth(sequence.ground_truth_path, table.replace(class_id=[PEDESTRIAN] * len(table)))
    return folder
