"""Adapts a Re-ID model to one's own videos: `mot-reid adapt checkpoint=PATH|NAME source=VIDEO`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mot_reid.cli.command import Command, Given, check_output
from mot_reid.files import given_by, write_json
from mot_reid.settings.adaptation import AdaptSettings, EvidenceSettings
from mot_reid.settings.load import ConfigError

if TYPE_CHECKING:
    from mot_reid.adaptation.adapt import Adapted
    from mot_reid.adaptation.footage import Footage
    from mot_reid.adaptation.look import Seen
    from mot_reid.adaptation.tracklets import Rules

COMMAND = Command(
    "adapt",
    AdaptSettings,
    usage="checkpoint=PATH|NAME source=VIDEO [key=value ...] [config=FILE]",
    about="""
Finds the threshold of a Re-ID model on videos of the place where it will be used, without labels: people seen together
are strangers, and what a tracker follows without a doubt is one person. Writes a new model.safetensors with it, or
says in one sentence why the videos show too little.""",
    examples=(
        "checkpoint=osnet_x0_25_market1501 source=video.mp4",
        "checkpoint=runs/quickstart/model.safetensors source=videos/*.mp4 detector.weights=yolov8n.pt",
        "checkpoint=person_small source=video.avi detector.public=det.txt false_match_rate=0.02 json=figures.json",
    ),
    exits="0 done, 2 a mistake in the arguments or the files, or too little to be seen in the videos",
)


def main(argv: Sequence[str]) -> int:
    """Adapts a model; returns the exit code."""
    return COMMAND.run(_adapt, argv)


def _adapt(settings: AdaptSettings, given: Given) -> None:
    """Looks at the videos, adapts the model, prints and writes what was found."""
    check_output("json", settings.json)
    model, output, rules = *_files(settings), _rules(settings.links)
    from mot_reid.adaptation.adapt import adapt
    from mot_reid.adaptation.look import look

    seen: list[Seen] = []
    for footage in _footage(settings):
        seen.append(look(footage, rules=rules, images=settings.links.images, batch=settings.detector.batch))
        print(seen[-1], flush=True)
    adapted = adapt(
        model,
        seen,
        output,
        false_match_rate=settings.false_match_rate,
        apart=settings.links.apart_seconds,
        settings={key: value for key, value in given.items() if key not in ("output", "json")},
        batch_norm=settings.batch_norm,
        device=settings.device,
    )
    print(_told(adapted))
    if settings.json is not None:
        print(f"figures    {write_json(settings.json, adapted.to_dict())}")


def _files(settings: AdaptSettings) -> tuple[Path, Path]:
    """Returns the model and the file to write."""
    from mot_reid.reid import bundled, checkpoint

    model = checkpoint.find(settings.checkpoint)
    if model.suffix == ".onnx":
        raise ConfigError(f"checkpoint: got '{model}'; expected a model.safetensors; adapt that, then export it")
    beside = bundled.beside(model)
    output = Path(settings.output) if settings.output else beside.with_name(f"{model.stem}-adapted.safetensors")
    if output.suffix != ".safetensors":
        raise ConfigError(f"output: got '{output}'; expected a name ending in .safetensors")
    check_output("output", str(output))
    with given_by("checkpoint"):
        checkpoint.load(model)  # which tests itself, before any video is read
    return model, output


def _rules(links: EvidenceSettings) -> Rules:
    """Returns what counts as a tracklet."""
    from mot_reid.adaptation.tracklets import Rules

    if links.apart_seconds > links.min_length_seconds:
        raise ConfigError(
            f"links.apart_seconds: got {links.apart_seconds:g}; expected at most links.min_length_seconds, "
            f"{links.min_length_seconds:g}, or a tracklet may have no two images to compare"
        )
    return Rules(
        max_cover=links.max_cover,
        max_gap=links.max_gap_seconds,
        min_length=links.min_length_seconds,
        min_score=links.min_score,
        min_together=links.min_together_seconds,
    )


def _footage(settings: AdaptSettings) -> Iterator[Footage]:
    """Yields the videos, each with its detector."""
    from functools import partial

    from mot_reid.adaptation.footage import Footage
    from mot_reid.pipeline.plan import expanded, short_names
    from mot_reid.pipeline.run import build_detector
    from mot_reid.pipeline.source import Source

    sources = expanded(settings.source)
    for source, name in zip(sources, short_names(sources)):
        with Source(source) as opened:
            if opened.live:
                raise ConfigError(
                    f"source: got '{source}'; expected a file or a folder, to be read twice; record it first"
                )
            detector = build_detector(settings, source, drawn=opened.detections)
        yield Footage(
            name, partial(Source, source, frame_rate=settings.frame_rate, max_frames=settings.max_frames), detector
        )


def _told(adapted: Adapted) -> str:
    """Returns a few lines for people."""
    found, before = adapted.found, adapted.before
    stored = found.calibration
    lines = [
        f"compared   {stored.impostor_pairs:,} pairs of images of two persons, from {found.track_pairs} pairs of "
        f"{stored.identities} tracks; {stored.genuine_pairs:,} of one person",
        f"threshold  {stored.threshold:.3f}: at most {_percent(stored.false_match_rate)} of pairs of strangers match, "
        f"with 95% confidence; here {_percent(found.false_match_rate)} do, and {_percent(stored.true_match_rate)} of "
        "pairs of one person",
        f"estimate   {found.estimate:.3f}, 95% interval {found.interval.low:.3f} to {found.interval.high:.3f}; the "
        "threshold is at its cautious end",
    ]
    if "threshold" in before:
        lines.append(
            f"before     {before['threshold']:.3f}: promised {_percent(before['promised_false_match_rate'])}; here "
            f"{_percent(before['false_match_rate'])} of pairs of strangers match, and "
            f"{_percent(before['true_match_rate'])} of pairs of one person"
        )
    lines.append("Pairs of one person are of one uninterrupted view; after an absence fewer match.")
    return "\n".join([*lines, f"model      {adapted.path}"])


def _percent(share: float) -> str:
    """Returns a share for people."""
    return f"{100 * share:.3g}%"
