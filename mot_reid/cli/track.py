"""Tracks people in videos: `mot-reid track source=video.mp4 output=annotated.mp4 results=tracks.txt`."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mot_reid.cli.command import Command, Given
from mot_reid.files import given_by
from mot_reid.settings.tracking import TrackSettings

if TYPE_CHECKING:
    from mot_reid.pipeline.doing import Doing
    from mot_reid.pipeline.plan import Job

COMMAND = Command(
    "track",
    TrackSettings,
    usage="[source=VIDEO] [key=value ...] [config=FILE]",
    about="""
Finds people in videos and gives each an identity. Without a source it tracks a short synthetic clip. With several
sources, several presets (compare=) or both, output= and results= are folders, or names with {name} in them.""",
    examples=(
        "source=video.mp4 output=annotated.mp4 results=tracks.txt",
        "source=video.mp4 tracker.preset=bytetrack_reid reid=osnet_x0_25_market1501 json=summary.json",
        "source=video.mp4 results=tracks.csv refine=recommended",
        "source=video.mp4 results=tracks.csv actions=true zones=zones.json",
        "source=video.mp4 results=tracks.csv actions=true actions.classifier=runs/actions/model.safetensors",
        "link=true output=street montage=street.mp4",
        "source=videos/*.mp4 detector.weights=yolov8n.pt output=annotated workers=2",
    ),
    exits="0 done, 1 some sources failed, 2 a mistake in the arguments or every source failed",
)


def main(argv: Sequence[str]) -> int:
    """Tracks every source; returns the exit code."""
    return COMMAND.run(_track, argv)


def _track(settings: TrackSettings, given: Given) -> int:
    """Plans the jobs, does them, writes what belongs to all of them; returns the exit code."""
    from mot_reid.files import write_json
    from mot_reid.pipeline.doing import NOTHING, Doing
    from mot_reid.pipeline.montage import write_montage
    from mot_reid.pipeline.plan import check_outputs, plan
    from mot_reid.pipeline.run_many import run_all

    with ExitStack() as stack:
        folder = None
        if settings.montage and settings.output is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        jobs = plan(settings, folder)
        check_outputs(settings, jobs)
        asked, done, failed = {job.name: job for job in jobs}, {}, {}
        doing, tracking = None, settings
        if settings.link:
            kept = stack.enter_context(tempfile.TemporaryDirectory())
            jobs = [replace(job, results=job.results or f"{kept}/{job.name}.txt") for job in jobs]
            # Tracks that are joined are drawn and described afterwards, with their identities of all sources.
            doing, tracking = Doing(settings), replace(settings, actions=NOTHING, zones=None)
        for job, answer in run_all(tracking, [replace(job, output=None) for job in jobs] if settings.link else jobs):
            if isinstance(answer, str):
                failed[job.name] = answer
                print(answer if len(jobs) == 1 else f"{job.name}: {answer}", file=sys.stderr)
            else:
                done[job.name] = answer
                print(_told(asked[job.name], answer))
        linked = _linked(settings, [job for job in jobs if job.name in done], done, doing) if doing and done else {}
        if settings.json is not None:
            totals = {name: sum(summary[name] for summary in done.values()) for name in ("frames", "tracks")}
            write_json(settings.json, {**totals, "sources": done, "failed": failed, **linked})
        if settings.montage and done:
            parts = {job.name: job.output for job in jobs if job.name in done and job.output}
            print(f"montage      {write_montage(Path(settings.montage), parts)}")
    return 0 if not failed else 1 if done else 2


def _linked(
    settings: TrackSettings, jobs: Sequence[Job], done: dict[str, dict[str, Any]], doing: Doing
) -> dict[str, Any]:
    """Joins the tracks of all sources, says how many people there are, and what they do where that is asked for."""
    from mot_reid.pipeline.link_sources import link_sources
    from mot_reid.reid.embedder import Embedder
    from mot_reid.settings.tracker_parameters import SEARCH_MODEL

    with given_by("reid"):
        embedder = Embedder(settings.reid or SEARCH_MODEL, device=settings.device, runtime=settings.runtime)
    told, described = link_sources(settings, jobs, embedder, doing)
    tracks = sum(len(names) for names in told["identities"].values())
    print(f"linked       {tracks} tracks of {len(jobs)} sources, {len(told['identities'])} identities")
    for name, actions in described.items():
        done[name]["actions"] = actions
        print("\n".join([f"{name}:", *_actions_told(actions)]))
    return {"linked": told}


def _told(job: Job, summary: dict[str, Any]) -> str:
    """Returns a few lines for people."""
    left_out = summary["tracks_left_out"]
    lines = [
        f"{job.name}: {summary['tracks']} tracks in {summary['frames']} frames"
        + (f" ({left_out} short or unsure left out; min_track_length=1 min_score=0 keeps them)" if left_out else ""),
        f"speed        {summary['frames_per_second']:.1f} frames/s; ms a frame: "
        + ", ".join(f"{name} {stage['milliseconds_per_frame']:.1f}" for name, stage in summary["stages"].items()),
    ]
    if "refined" in summary:
        done = summary["refined"]
        lines.append(
            f"refined      offline, by {', '.join(done['parts'])}: {done['tracks_before']} tracks before, "
            f"{done['boxes_filled']} boxes filled in"
        )
    if "actions" in summary:
        lines += _actions_told(summary["actions"])
    lines += [f"{name:<12} {path}" for name, path in (("results", job.results), ("video", job.output)) if path]
    return "\n".join(lines)


def _actions_told(actions: dict[str, Any]) -> list[str]:
    """Returns lines about what people do."""

    def seconds(of: dict[str, float]) -> str:
        return ", ".join(f"{name} {value:.1f} s" for name, value in of.items()) or "none"

    lines = [f"actions      {seconds(actions['seconds'])}"]
    if "classified" in actions:
        lines.append(f"classified   {seconds(actions['classified']['seconds'])}")
    counts = Counter((one["line"], one["direction"]) for one in actions["crossings"])
    lines += [f"line         {line}: {count} {direction}" for (line, direction), count in sorted(counts.items())]
    stays = Counter(one["zone"] for one in actions["visits"])
    return lines + [f"zone         {zone}: {count} visits" for zone, count in sorted(stays.items())]
