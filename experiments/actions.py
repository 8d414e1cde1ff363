"""Which action is taken for which, by the rules and by a trained classifier?

    python experiments/actions.py [model=runs/actions_synthetic/model.safetensors] [persons=40] [seed=1]

Three tables of true by found actions. First the rules (speed in body heights per second), frame by frame, on tracks of
known speed and any direction whose boxes jitter by 2 % of their height. Then, on drawn people whom training never saw,
each in all five motions, a second of each: the rules again, which know no waving and no jumping; and the classifier,
where a model is given. At the end what the classifier says of the walkers of `mot-reid track source=synthetic`, which
are drawn by other code.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from mot_reid.actions.classifier import ActionClassifier
from mot_reid.actions.motion import ACTIONS, actions
from mot_reid.data.frame import Frame
from mot_reid.data.synthetic_actions import FRAME_RATE, MOTIONS, Scene, scene
from mot_reid.data.synthetic_clip import walkers
from mot_reid.metrics.confusion import as_text, confusion
from mot_reid.structures import TrackTable

SPEEDS = {"standing": (0.0, 0.05), "walking": (0.5, 1.0), "running": (1.6, 2.6)}
"""Body heights per second."""
HELD_OUT = 9
"""Part of the seeds of people whom no training draws."""


def walk(rng: np.random.Generator, speed: float, *, seconds: float = 8.0, height: float = 100.0) -> TrackTable:
    """Returns a track of constant speed in some direction, with noisy boxes."""
    frames = round(seconds * FRAME_RATE)
    way, angle = np.arange(frames) * speed * height / FRAME_RATE, rng.uniform(0, 2 * np.pi)
    x, y, half = 300 + way * np.cos(angle), 300 + way * np.sin(angle), 0.19 * height
    xyxy = np.stack([x - half, y - height, x + half, y], axis=1) + 0.02 * height * rng.normal(size=(frames, 4))
    return TrackTable(np.arange(1, frames + 1), np.ones(frames, np.int64), xyxy)


def rules_on_tracks(tracks: int, seed: int) -> str:
    """Returns the table of the rules on tracks of known speed."""
    rng, table = np.random.default_rng(seed), np.zeros((len(ACTIONS),) * 2, np.int64)
    for name, bounds in SPEEDS.items():
        for _ in range(tracks):
            _, found = actions(walk(rng, rng.uniform(*bounds)), frame_rate=FRAME_RATE)
            table += confusion(np.full(len(found), ACTIONS.index(name)), found, classes=len(ACTIONS))
    return as_text(table, ACTIONS)


def drawn(persons: int, seed: int) -> list[tuple[str, Scene]]:
    """Returns each person in each motion."""
    return [(name, scene(name, seed=(seed, HELD_OUT, one))) for one in range(persons) for name in MOTIONS]


def rules_on_people(scenes: list[tuple[str, Scene]]) -> str:
    """Returns the table of the rules on drawn people: what they say most often of each."""
    names = (*MOTIONS, "unknown")
    truth, said = [], []
    for name, one in scenes:
        _, found = actions(one.truth, frame_rate=one.frame_rate)
        truth.append(names.index(name))
        said.append(names.index(ACTIONS[np.bincount(found).argmax()]))
    return as_text(confusion(np.array(truth), np.array(said), classes=len(names)), names)


def classifier_on_people(classifier: ActionClassifier, scenes: list[tuple[str, Scene]]) -> str:
    """Returns the table of a classifier on drawn people."""
    names = classifier.classes
    truth, said = [], []
    for name, one in scenes:
        found = classifier.label(one.frames(), one.truth, frame_rate=one.frame_rate)
        truth += [names.index(name)] * len(found.label)
        said += [names.index(label) for label in found.label.tolist()]
    return as_text(confusion(np.array(truth), np.array(said), classes=len(names)), names)


def classifier_on_walkers(classifier: ActionClassifier) -> str:
    """Returns the table of rules by classifier on the windows of the clip that `mot-reid track` draws."""
    clip = walkers()
    frames = [Frame(number, (number - 1) / clip.frame_rate, image) for number, image in enumerate(clip.images, 1)]
    found = classifier.label(frames, clip.truth, frame_rate=clip.frame_rate)
    names = sorted({*classifier.classes, *ACTIONS})
    _, rules = actions(clip.truth, frame_rate=clip.frame_rate)
    label, _ = found.of_rows(clip.truth)
    rows = label != ""
    by_rules = np.array([names.index(ACTIONS[one]) for one in rules[rows]])
    by_network = np.array([names.index(one) for one in label[rows].tolist()])
    return as_text(confusion(by_rules, by_network, classes=len(names)), names)


def main(argv: list[str]) -> None:
    """Prints the tables."""
    given = dict(word.split("=", 1) for word in argv)
    persons, seed = int(given.get("persons", 40)), int(given.get("seed", 1))
    print(f"rules, frames of {persons} tracks of each speed\n{rules_on_tracks(persons, seed)}")
    scenes = drawn(persons, seed)
    print(f"\nrules, {persons} drawn people in each motion\n{rules_on_people(scenes)}")
    if "model" in given:
        classifier = ActionClassifier(given["model"])
        print(f"\nclassifier, the same people\n{classifier_on_people(classifier, scenes)}")
        print(f"\nrules (rows) and classifier, frames of the synthetic clip\n{classifier_on_walkers(classifier)}")


if __name__ == "__main__":
    main(sys.argv[1:])
