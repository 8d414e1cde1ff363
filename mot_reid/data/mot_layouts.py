"""How MOT17, MOT20, DanceTrack and SportsMOT lie on disk, and what may not be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from mot_reid.data.motchallenge import Sequence, read_sequence

Prepared = Literal["MOT17", "MOT20", "DanceTrack", "SportsMOT"]
PREPARED: tuple[Prepared, ...] = get_args(Prepared)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the sequences of a data set are.

    Attributes:
        name: of the data set.
        wrapped: folders that may lie around the parts.
        train: names of the folders of training sequences.
        val: name of the folder of validation sequences; `None`: some of the training sequences validate.
        validates: training sequences that validate; none: the last one.
        names: sequences that must be there.
        counts: published number of sequences in each part, where their names are not listed here.
        frames: published number of frames in each part after the split by sequences.
        detections: whether public detections come with every sequence.
        copy: ending of the copy that is taken of sequences that come once for each public detector.
    """

    name: Prepared
    wrapped: tuple[str, ...]
    train: tuple[str, ...] = ("train",)
    val: str | None = None
    validates: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    frames: Mapping[str, int] = field(default_factory=dict)
    detections: bool = True
    copy: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of all folders that hold annotated sequences."""
        return self.train if self.val is None else (*self.train, self.val)

    def place(self, path: PurePosixPath) -> PurePosixPath | None:
        """Returns where a file of the archive is unpacked to; None for what is not needed."""
        names = path.parts
        for i, name in enumerate(names[:-2]):
            if name in self.parts and names[i + 1].endswith(self.copy) and not path.name.startswith("._"):
                return PurePosixPath(*names[i:])
        return None

    def find(self, root: str | Path, parts: tuple[str, ...] | None = None) -> list[Sequence]:
        """The sequences in a folder, sorted by name: itself, those in it, or those in its parts.

        Of sequences that come once for each public detector (-DPM, -FRCNN, -SDP) only the FRCNN copy is taken.

        Args:
            root: the folder of the data set, one of its parts, or a sequence.
            parts: names of the folders to look in; None for those of training sequences.

        Raises:
            FileNotFoundError: No sequence there.
            ValueError: A seqinfo.ini makes no sense.
        """
        root = Path(root)
        if (root / "seqinfo.ini").is_file():
            return [read_sequence(root)]
        for top in (*(root / name for name in self.wrapped), root):
            found = _in_folders([top / part for part in parts or self.train])
            if found:
                return found
        found = [] if parts else _in_folders([root])
        if not found:
            raise FileNotFoundError(
                f"{self.name}: got '{root}' without a sequence; expected its folder, with "
                f"{(parts or self.train)[0]}/{self.example} and so on, or a sequence with seqinfo.ini; check the path"
            )
        return found

    @property
    def example(self) -> str:
        """A sequence's name, or what one begins with."""
        return self.names[0] if self.names else {"DanceTrack": "dancetrack0001", "SportsMOT": "v_.."}[self.name]


def _in_folders(folders: list[Path]) -> list[Sequence]:
    paths = sorted((path.parent for folder in folders for path in folder.glob("*/seqinfo.ini")), key=lambda p: p.name)
    return [read_sequence(path) for path in paths if not path.name.endswith(("-DPM", "-SDP"))]


_MOT17 = ("02", "04", "05", "09", "10", "11", "13")
LAYOUTS: dict[Prepared, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            "MOT17",
            wrapped=("MOT17",),
            names=tuple(f"MOT17-{number}-FRCNN" for number in _MOT17),
            validates=("MOT17-11-FRCNN", "MOT17-13-FRCNN"),
            frames={"train": 3_666, "val": 1_650},
            copy="-FRCNN",
        ),
        Layout(
            "MOT20",
            wrapped=("MOT20",),
            names=("MOT20-01", "MOT20-02", "MOT20-03", "MOT20-05"),
            frames={"train": 5_616, "val": 3_315},
        ),
        Layout(
            "DanceTrack",
            wrapped=("dancetrack", "DanceTrack"),
            train=("train", "train1", "train2"),
            val="val",
            counts={"train": 40, "val": 25},
            detections=False,
        ),
        Layout(
            "SportsMOT",
            wrapped=("dataset", "sportsmot_publish/dataset", "SportsMOT"),
            val="val",
            counts={"train": 45, "val": 45},
            detections=False,
        ),
    )
}
