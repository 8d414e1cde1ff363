"""The table of parity: which recorded programs the presets reproduce, box for box and identity for identity.

    python -m tests.tracking.parity [GOLDEN]

GOLDEN holds the full recordings, nine sequences each; without it the sequences in the repository are compared. What is
put back to reproduce a program is in `test_golden.py` and `test_golden_2026.py`, where the same is tested.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mot_reid import Detections, Tracker, Tracks
from mot_reid.tracking.presets import HYBRIDSORT, Preset
from tests.helpers import recorded_programs
from tests.tracking import test_golden, test_golden_2026
from tests.tracking.test_golden import WORLDS, assert_same_up_to_renaming, frames_of, recorded

HERE = Path(__file__).parents[1] / "golden"
Answers = Callable[[Iterable[Detections]], list[Tracks]]
Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded program and ours.

    Attributes:
        preset: the name of ours.
        program: whose code was recorded.
        file: where the recording is.
        key: its name in there.
        answers: what ours says to the frames of a sequence.
        patch: puts back what that program does and our presets do not.
        within: pixels that boxes may differ by; the later recordings are in single precision.
    """

    preset: str
    program: str
    file: str
    key: str
    answers: Answers
    patch: Patch = lambda patch: None
    within: float = 1e-3


def tracked(preset: Preset) -> Answers:
    """Returns what a preset says with the published thresholds."""

    def answers(frames: Iterable[Detections]) -> list[Tracks]:
        tracker = Tracker(preset, bands="published" if preset.shares else None)
        return [tracker.update(detections) for detections in frames]

    return answers


def recordings() -> list[Recording]:
    """Returns all recordings in the repository."""
    authors = {
        "sort": "the authors' SORT",
        "ocsort": "the authors' OC-SORT",
        "ocsort+byte": "the same with BYTE",
        "bytetrack": "the authors' ByteTrack, continuous IoU",
        "bytetrack_pixel": "the same, inclusive pixels",
        "botsort": "the authors' BoT-SORT, continuous IoU",
        "botsort_pixel": "the same, inclusive pixels",
    }
    later = {
        "cbiou": "`trackers` 2.6.1",
        "deepocsort+embedding": "BoxMOT 25.0.0, with embeddings",
        "strongsort+embedding": "BoxMOT 25.0.0, with embeddings",
        "fasttrack": "Ultralytics 8.4.190",
    }
    found = [
        Recording(key.partition("_")[0].partition("+")[0], program, "trackers.npz", key,
                  tracked(test_golden.ORIGINALS[key]), within=1e-6)
        for key, program in authors.items()
    ]  # fmt: skip
    found += [
        Recording(key.partition("+")[0], program, "trackers_2026.npz", key, tracked(test_golden_2026.AS_RECORDED[key]),
                  test_golden_2026.PATCHES.get(key, lambda patch: None))
        for key, program in later.items()
    ]  # fmt: skip
    found += [
        Recording("tracktrack", "Ultralytics 8.4.190", "trackers_2026.npz", "tracktrack",
                  test_golden_2026.tracktrack_answers, recorded_programs.tentative_sizes_and_posteriors),
        Recording("hybridsort", "BoxMOT 25.0.0", "hybridsort.npz", "hybridsort", tracked(HYBRIDSORT),
                  recorded_programs.accept_weak_boxes_by_overlap),
    ]  # fmt: skip
    return found


def compared(recording: Recording, world: str, folder: Path) -> tuple[int, float] | None:
    """Returns the number of boxes and their largest distance, or None if the sequence is not at hand.

    Raises:
        AssertionError: ours differs.
    """
    inputs = _holding(f"{world}/input/frame", folder, "trackers.npz")
    answer = _holding(f"{world}/{recording.key}/frame", folder, recording.file)
    if inputs is None or answer is None:
        return None
    with pytest.MonkeyPatch.context() as patch:
        recording.patch(patch)
        ours = recording.answers(frames_of(recorded(inputs), world))
    ours = ours[: test_golden_2026.COMPARED.get((recording.key, world))]
    return assert_same_up_to_renaming(ours, recorded(answer), f"{world}/{recording.key}", within=recording.within)


def _holding(key: str, folder: Path, name: str) -> Path | None:
    """Returns the recording in a folder, or else that in the repository, if it has a key."""
    files = [path for path in (folder / name, HERE / name) if path.is_file()]
    return next((path for path in files if key in recorded(path)), None)


def row(recording: Recording, folder: Path) -> str:
    """Returns a line of the table; what differs is printed as an error."""
    tried = equal = boxes = 0
    farthest = 0.0
    for world in WORLDS:
        try:
            found = compared(recording, world, folder)
        except AssertionError as error:
            print(f"{recording.key}, {world}: {error}", file=sys.stderr)
            tried += 1
            continue
        if found is not None:
            tried, equal = tried + 1, equal + 1
            boxes, farthest = boxes + found[0], max(farthest, found[1])
    part = any(key == recording.key for key, _ in test_golden_2026.COMPARED)
    whole = f"{equal} of {tried}" + (", one in part" if part else "")
    return f"| `{recording.preset}` | {recording.program} | {whole} | {boxes:,} | {farthest:.0e} |"


def main(words: Sequence[str]) -> None:
    """Prints the table."""
    folder = Path(words[0]) if words else HERE
    print("| preset | recorded program | sequences equal | boxes | largest difference, px |\n|---|---|---|---:|---:|")
    for recording in recordings():
        print(row(recording, folder), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
