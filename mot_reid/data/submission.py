"""Results as the servers of MOTChallenge, DanceTrack and SportsMOT take them: one zip, a text file for each sequence.

- MOTChallenge and SportsMOT want the files at the top of the archive, DanceTrack in a folder `tracker`.
- MOT17 has every sequence three times, once for each public detector (-DPM, -FRCNN, -SDP), and its server refuses an
  archive without all of them. A tracker with a detector of its own has one result for the three.

Reference:
    https://motchallenge.net/instructions, and the files README.md of DanceTrack and competition.md of SportsMOT.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from mot_reid.data.motchallenge import result_lines
from mot_reid.files import whole
from mot_reid.structures import TrackTable

FOLDER = {"DanceTrack": "tracker/"}
_NAMES = {
    "MOT15": (r"\S+", "TUD-Crossing"),
    "MOT16": (r"MOT16-\d\d", "MOT16-01"),
    "MOT17": (r"MOT17-\d\d(-DPM|-FRCNN|-SDP)?", "MOT17-01-FRCNN or MOT17-01"),
    "MOT20": (r"MOT20-\d\d", "MOT20-04"),
    "DanceTrack": (r"dancetrack\d{4}", "dancetrack0003"),
    "SportsMOT": (r"v_.+_c\d+", "v_-9kabh1K8UA_c008"),
}
_COPIES = ("-DPM", "-FRCNN", "-SDP")


def write_submission(path: str | Path, results: Mapping[str, TrackTable], *, benchmark: str) -> list[str]:
    """Writes the archive, whole or not at all; returns the names of the files in it.

    Args:
        path: of the zip.
        results: tracks of each sequence, by its name.
        benchmark: whose server it is for.

    Raises:
        ValueError: there is no result, a name is not one of the benchmark's, or an identity is 0.
        OSError: the file cannot be written.
    """
    if not results:
        raise ValueError("results: got none; expected the tracks of every sequence of the test set")
    pattern, example = _NAMES[benchmark]
    for name, table in results.items():
        if not re.fullmatch(pattern, name):
            raise ValueError(
                f"results: got '{name}'; expected a sequence of {benchmark}, such as {example}; its server knows the "
                "sequences by the names of the files, so rename it, or choose another benchmark"
            )
        if len(table) and table.track_id.min() < 1:
            raise ValueError(f"{name}: track_id: got {table.track_id.min()}; expected 1 or more; number them from 1")
    if benchmark == "MOT17":
        results = _three_copies(results)
    files = {f"{FOLDER.get(benchmark, '')}{name}.txt": result_lines(results[name]) for name in sorted(results)}
    with whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, lines in files.items():
            archive.writestr(zipfile.ZipInfo(name), lines, zipfile.ZIP_DEFLATED)
    return list(files)


def _three_copies(results: Mapping[str, TrackTable]) -> dict[str, TrackTable]:
    """The results under the names of all three detectors; a missing one is that of the only other one.

    Raises:
        ValueError: two of three are there, so that nobody can say which one the third should be.
    """
    by_sequence: dict[str, dict[str, TrackTable]] = {}
    for name, table in results.items():
        by_sequence.setdefault(name[: len("MOT17-01")], {})[name[len("MOT17-01") :]] = table
    complete = {}
    for sequence, copies in by_sequence.items():
        if len(copies) != 1 and set(copies) != set(_COPIES):
            found = ", ".join(f"{sequence}{copy}" for copy in copies)
            raise ValueError(f"results: got {found}; expected one file of a sequence, or one for each of its detectors")
        for copy in _COPIES:
            complete[sequence + copy] = copies[copy] if len(copies) > 1 else next(iter(copies.values()))
    return complete
