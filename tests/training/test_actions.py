"""Training an action classifier by the same command as a Re-ID model: data, module, resume, export, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mot_reid.actions import model_file
from mot_reid.actions.networks import create
from mot_reid.cli import fit as command
from mot_reid.data.action_clips import read_clips
from mot_reid.data.synthetic_actions import generate
from mot_reid.settings.load import ActionConfig, ConfigError, load_config, load_training
from mot_reid.training.action_data import ClipDataset, EpochSampler
from mot_reid.training.action_fit import build_action_module
from mot_reid.training.clip_augment import ClipAugment
from mot_reid.training.fit import fit

CLIP = model_file.ClipFormat(frames=4, height=16, width=16, seconds=0.4, context=2.0, mean=(0.5,) * 3, std=(0.5,) * 3)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("actions") / "clips", train=2, validation=1, test=1, seconds=0.4)


def words(clips: Path, run: Path, *more: str) -> list[str]:
    """The arguments of a short run; those given last win."""
    short = [
        "experiment=actions_synthetic",
        f"data.root={clips}",
        "data.seconds=0.4",
        "synthetic.train=2",
        "synthetic.validation=1",
        "synthetic.test=1",
        "data.batch_size=5",
        "model.frames=4",
        "model.height=16",
        "model.width=16",
        "augment.pad=1",
        "trainer.max_epochs=2",
        "trainer.check_val_every_n_epoch=1",
        "trainer.enable_progress_bar=false",
        f"run.dir={run}",
    ]
    return list({word.partition("=")[0]: word for word in (*short, *more)}.values())


def test_sampler_gives_each_clip_once_the_same_for_a_seed_and_goes_on_inside_an_epoch() -> None:
    sampler = EpochSampler(10, batch_size=3, seed=4)
    sampler.set_epoch(2)
    epoch = list(sampler)
    rows = [row for batch in epoch for row, _ in batch]
    assert len(epoch) == sampler.batches == 3 and len(set(rows)) == 9
    sampler.set_epoch(2, skip=2)
    assert list(sampler) == epoch[2:] and len(sampler) == 3
    assert [len(batch) for batch in EpochSampler(3, batch_size=16, seed=0)] == [3]
    sampler.set_epoch(3)
    assert [row for batch in sampler for row, _ in batch] != rows


def test_processes_share_the_clips_of_a_batch() -> None:
    parts = [list(EpochSampler(8, batch_size=4, seed=0, rank=rank, world_size=2)) for rank in (0, 1)]
    assert [len(batch) for part in parts for batch in part] == [2, 2, 2, 2]
    assert {row for part in parts for batch in part for row, _ in batch} == set(range(8))
    with pytest.raises(ValueError, match=r"data.batch_size: got 5 for 2 processes; expected a multiple"):
        EpochSampler(8, batch_size=5, seed=0, world_size=2)


def test_a_clip_is_the_middle_of_a_longer_one_or_the_part_that_was_drawn(clips: Path) -> None:
    table = read_clips(clips, validation=0.2).train
    half = model_file.ClipFormat(**{**CLIP.to_dict(), "seconds": 0.16, "frames": 2, "mean": (0,) * 3, "std": (1,) * 3})
    kept, read = (ClipDataset(table, clip=half, cached=cached) for cached in (True, False))
    whole = read._read(0)
    assert len(whole) == 5
    assert np.array_equal(kept[0, None].image, whole[2:4]) and np.array_equal(read[0, 7].image, whole[3:5])
    assert int(kept[0, None].label) == table.label[0]


def test_augmentation_is_the_same_for_all_frames_of_a_clip() -> None:
    """Of a clip that stands still every frame stays the same, and another seed gives another clip."""
    still = torch.rand(2, 1, 12, 10, 3).mul(255).expand(2, 6, 12, 10, 3)
    augment = ClipAugment(flip=0.5, pad=3, brightness=0.2, contrast=0.2)
    first, again, other = (augment(still, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first.shape == still.shape and torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(first[:, :1].expand_as(first), first)
    plain = ClipAugment()(still, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(plain, still)
    flipped = ClipAugment(flip=1.0)(still, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(flipped, still.flip(3))


def test_a_run_writes_what_every_run_writes_and_its_model_says_how_it_came_about(
    clips: Path, tmp_path: Path, capsys
) -> None:
    run = tmp_path / "run"
    assert command.main(words(clips, run)) == 0
    assert {"config.yaml", "fit.log", "metrics.csv", "curves.png", "model.safetensors", "checkpoints"} <= {
        path.name for path in run.iterdir()
    }
    told = model_file.describe(run / "model.safetensors")
    assert told["network"] == {"name": "r3d_small", "classes": ["jumping", "running", "standing", "walking", "waving"]}
    assert set(told["provenance"]["scores"]) == {
        f"{s}/{n}" for s in ("val", "test") for n in ("accuracy", "balanced_accuracy")
    }
    assert told["licence"] == "Apache-2.0: trained on synthetic people"
    assert "true / found" in (run / "fit.log").read_text()
    assert "test/accuracy" in capsys.readouterr().out
    assert load_training([f"experiment={run / 'config.yaml'}"]) == load_training(words(clips, run))
    model_file.load(run / "model.safetensors")
    tuned = load_training(
        words(clips, tmp_path / "tuned", f"model.weights={run / 'model.safetensors'}", "trainer.fast_dev_run=true")
    )
    assert fit(tuned).model is None


def test_a_model_that_starts_from_one_of_ours_names_that_one_and_its_licence(tmp_path: Path) -> None:
    """It said that a small network of drawn people had begun with torchvision's weights of Kinetics-400."""
    first, classes = tmp_path / "first.safetensors", ("run", "walk")
    told = model_file.metadata(
        "r3d_small", classes, CLIP, provenance={"experiment": "mine", "seed": 3}, licence="for our shop only"
    )
    model_file.save(first, create("r3d_small", classes=2, frames=4, size=(16, 16)), told)
    for weights, licence, initial in (
        (first, "that of the clips it was trained on; for our shop only", {"experiment": "mine"}),
        ("none", "that of the clips it was trained on", None),
    ):
        chosen = words(tmp_path, tmp_path, f"model.weights={weights}", "data.kind=folders")
        metadata = build_action_module(load_training(chosen), classes, CLIP, prints="x").metadata
        more = None if initial is None else {"name": first.name, "licence": "for our shop only", **initial}
        assert metadata["licence"] == licence and metadata["provenance"]["initial"] == more


def test_a_resumed_run_ends_as_one_that_was_not_stopped(clips: Path, tmp_path: Path) -> None:
    more = ("optim.ema=0.9", "optim.schedule=constant", "optim.warmup_epochs=0")
    whole = fit(load_training(words(clips, tmp_path / "whole", *more)))
    fit(load_training(words(clips, tmp_path / "cut", *more, "trainer.max_epochs=1")))
    resumed = fit(load_training(words(clips, tmp_path / "cut", *more)), resume="last")
    assert whole.model is not None and resumed.model is not None
    first, second = (model_file.load(one.model).network.state_dict() for one in (whole, resumed))
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, msg=name)
    assert resumed.scores == whole.scores


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("data.root=nowhere", "data.kind=folders"), "data.root: got 'nowhere'; expected a folder"),
        (("model.network=r3d",), "model.network: got 'r3d'; expected one of"),
        (("model.weights=nothing.safetensors",), "model.weights: got 'nothing.safetensors'; expected pretrained, none"),
        (("loss.triplet=1",), "no key 'loss.triplet'"),
        (("run.monitor=val/mAP",), "run.monitor: got 'val/mAP'; expected one of val/accuracy"),
        (("data=market1501",), "no key 'data.official_counts'"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(clips: Path, tmp_path: Path, capsys, more, message) -> None:
    assert command.main(words(clips, tmp_path / "run", *more)) == 2
    told = capsys.readouterr().err
    assert message in told and "Traceback" not in told
    assert not (tmp_path / "run").exists()


def test_clips_that_are_no_videos_leave_no_run_behind(tmp_path: Path, capsys) -> None:
    """They are decoded when training asks for them, after the folder of the run was made."""
    for name in ("sitting", "standing"):
        (tmp_path / "clips" / name).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "clips" / name / f"{number}.mp4").write_text("no video")
    more = ("data.kind=folders", "data.batch_size=2", "trainer.num_sanity_val_steps=0")
    assert command.main(words(tmp_path / "clips", tmp_path / "runs" / "first", *more)) == 2
    assert ".mp4" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["clips"]
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("mine")
    assert command.main(words(tmp_path / "clips", tmp_path / "own", *more)) == 2
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["notes.txt"]


def test_other_clips_than_those_of_the_checkpoint_are_refused(clips: Path, tmp_path: Path) -> None:
    fit(load_training(words(clips, tmp_path / "run", "trainer.max_epochs=1")))
    others = generate(tmp_path / "others", train=3, validation=1, test=1, seconds=0.4)
    with pytest.raises(ValueError, match="which was trained on other crops than those of"):
        fit(load_training(words(others, tmp_path / "run", "synthetic.train=3")), resume="last")


def test_the_task_of_an_experiment_chooses_its_keys(tmp_path: Path) -> None:
    assert isinstance(load_training(["experiment=actions_synthetic"]), ActionConfig)
    with pytest.raises(ConfigError, match="got 'actions_synthetic', whose task is actions; expected one that trains"):
        load_config(["experiment=actions_synthetic"])
    (tmp_path / "mine.yaml").write_text("bases: [base]\ntask: dancing\n")
    with pytest.raises(ConfigError, match="task: got 'dancing'; expected actions, or no task"):
        load_training([f"experiment={tmp_path / 'mine.yaml'}"])


@pytest.mark.parametrize("flag", ["--help", "--schema"])
def test_help_and_schema_are_those_of_the_task(flag: str, capsys) -> None:
    assert command.main(["experiment=actions_synthetic", flag]) == 0
    told = capsys.readouterr().out
    assert "frames of a clip that the network sees" in told and "triplet_margin" not in told


@pytest.mark.slow
def test_five_motions_of_people_who_were_never_seen_are_told_apart(tmp_path: Path) -> None:
    """Three minutes on one core; chance is 20%."""
    arguments = ["experiment=actions_synthetic", f"data.root={tmp_path / 'clips'}", f"run.dir={tmp_path / 'run'}"]
    scores = fit(load_training(arguments)).scores
    assert scores["test/accuracy"] > 0.9
