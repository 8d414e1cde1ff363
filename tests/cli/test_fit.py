"""The training tool as a person meets it: one line for a mistake, a table at the end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mot_reid.cli import fit as tool
from mot_reid.data import synthetic_dataset
from mot_reid.reid import checkpoint
from mot_reid.settings.load import ROOT, experiment_names
from mot_reid.training.fit import FitResult
from mot_reid.training.module import ReIDModule
from tests.helpers.runs import small_arguments

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def heard_interrupts() -> Iterator[None]:
    """Ctrl-C as in front of a terminal, also where the tests run in the background and would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic people of `helpers.runs.PEOPLE`."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("drawn") / "people"
    return synthetic_dataset.generate(
        root, identities=10, test_identities=3, cameras=2, images_per_camera=2, progress=False
    )


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, what was printed, and the last line of complaint."""
    code = tool.main(arguments)
    found = capsys.readouterr()
    return code, found.out, re.split("[\r\n]", found.err.strip())[-1]  # a bar ends with a return


# A whole run


def test_run_ends_with_scores_curves_model_and_time(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = small_arguments(
        people, tmp_path / "run", "trainer.max_epochs=2", "data.validation=0.2", "run.score_untrained=true"
    )
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    assert re.search(r"^ +mAP +Rank-1 +Rank-5 +Rank-10 +mINP +\(%\)$", out, re.M)
    for title in ("test, untrained", "validation", "test"):
        assert re.search(rf"^{title}  +(\d+\.\d +){{4}}\d+\.\d$", out, re.M), title
    for name in ("curves.png", "model.safetensors", "metrics.csv", "config.yaml", "checkpoints/last.ckpt"):
        assert (tmp_path / "run" / name).is_file()
    assert re.search(rf"^model +{tmp_path}/run/model\.safetensors$", out, re.M)
    assert re.search(r"^time +\d+\.\d min, \d+ images/s in training$", out, re.M)


def test_scores_are_printed_as_percentages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = FitResult(tmp_path, scores={"test/mAP": 0.1234, "test/rank1": 1.0}, minutes=2.0)
    monkeypatch.setattr("mot_reid.training.fit.fit", lambda config, resume: result)
    assert run(capsys, "experiment=quickstart")[1].splitlines()[2].split() == ["test", "12.3", "100.0"]


def test_help_lists_experiments_and_keys(capsys: pytest.CaptureFixture[str]) -> None:
    for argument in ("--help", "-h"):
        code, out, err = run(capsys, argument)
        assert (code, err) == (0, "")
        assert all(name in out for name in experiment_names())
        assert "  optim.lr: " in out


# Mistakes: one line, exit code 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["optim.lrr=1"], "command line: no key 'optim.lrr'; did you mean 'optim.lr'?"),
        (["trainer.max_epochs=many"], "command line: trainer.max_epochs: got 'many'; expected"),
        (["data.root=/nowhere/at/all", "data=market1501"], "/nowhere/at/all"),
        (["data.identities=11"], "data.identities: got 11; expected at most 10"),
        (["ckpt=last"], "ckpt: got 'last', but there is no '"),
        (["ckpt=/no/such.ckpt"], "ckpt: got '/no/such.ckpt', but there is no '/no/such.ckpt'"),
        (["model.backbone=resnet5000"], "resnet5000"),
        (["model.weights=/no/weights.safetensors"], "/no/weights.safetensors"),
        (["trainer.accelerator=abacus"], "abacus"),
        (["trainer.precision=17"], "17"),
        (["optim.milestones=[3,2,x]"], "optim.milestones"),
        (["loss.cross_entropy=0", "loss.triplet=0"], "loss: got no weight above 0"),
        (["trainer.limit_val_batches=1", "data.validation=0.2", "data.eval_batch_size=1"], "do not limit validation"),
        (["optim.warmup_epochs=9"], "optim.warmup_epochs: got 9"),
    ],
)
def test_mistake_is_told_in_one_line(
    arguments: list[str], said: str, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, complaint = run(capsys, *small_arguments(people, tmp_path / "run", *arguments))
    assert code == 2
    assert said in complaint
    assert "Traceback" not in out and "\n" not in complaint


def test_unknown_experiment_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, complaint = run(capsys, "experiment=quikstart")
    assert (code, complaint) == (2, "command line: no experiment 'quikstart'; did you mean 'quickstart'?")


@pytest.mark.parametrize("workers", [0, 1])
def test_truncated_image_is_named(workers: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = synthetic_dataset.generate(
        tmp_path / "people", identities=10, test_identities=3, cameras=2, images_per_camera=2, progress=False
    )
    victims = sorted((root / "bounding_box_train").glob("*.jpg"))
    for victim in victims:
        victim.write_bytes(victim.read_bytes()[:300])
    settings = [f"data.workers={workers}", f"data.cache={'none' if workers else 'memory'}"]
    code, out, complaint = run(capsys, *small_arguments(root, tmp_path / "run", *settings))
    assert code == 2
    assert re.match(r"image: got '.*\.jpg' \(.+\); expected a whole image file; replace or remove the file$", complaint)
    assert "Traceback" not in out


def test_unreadable_checkpoint_is_refused_and_kept(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(b"garbage")
    code, _, complaint = run(capsys, *small_arguments(people, tmp_path / "run", "ckpt=last"))
    assert code == 2 and "last.ckpt', which cannot be read" in complaint
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes() == b"garbage"


def test_checkpoint_of_another_network_is_refused(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, *small_arguments(people, tmp_path / "run", "trainer.max_epochs=1", "run.score_test=false"))
    code, _, complaint = run(capsys, *small_arguments(people, tmp_path / "run", "ckpt=last", "model.embedding_dim=16"))
    assert code == 2 and "resume with the settings of the interrupted run" in complaint


# Failures: exit code 1, or a traceback where the program is wrong


def test_loss_that_is_not_finite_is_one_line_and_exit_code_1(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, complaint = run(
        capsys, *small_arguments(people, tmp_path / "run", "optim.lr=1e30", "loss.triplet=0", "optim=sgd")
    )
    assert code == 1
    assert re.match(r"loss: got cross_entropy=(nan|inf) in step \d+, epoch 0; expected finite numbers; ", complaint)


@pytest.mark.parametrize("kind", [TypeError, AttributeError, KeyError, RuntimeError, ValueError])
def test_fault_of_the_program_shows_where_it_happened(
    kind: type[Exception], people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raised from a foreign module, as torch would; our own checks raise from the package."""
    namespace: dict[str, Any] = {"kind": kind}
    exec(compile("def fault(*arguments): raise kind('by mistake')", "/usr/lib/foreign.py", "exec"), namespace)
    monkeypatch.setattr(ReIDModule, "training_step", namespace["fault"])
    with pytest.raises(kind, match="by mistake"):
        tool.main(small_arguments(people, tmp_path / "run"))


# Ctrl-C


def test_interrupt_tells_how_to_go_on(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = ReIDModule.training_step

    def interrupted(self: ReIDModule, batch: Any, batch_idx: int) -> torch.Tensor:
        if self.global_step == 7:
            signal.raise_signal(signal.SIGINT)
        return original(self, batch, batch_idx)

    arguments = small_arguments(people, tmp_path / "run", "run.score_test=false", "run.name=two words")
    with monkeypatch.context() as patch:
        patch.setattr(ReIDModule, "training_step", interrupted)
        code, _, said = run(capsys, *arguments)
    assert code == 130
    command = said.partition("interrupted; go on with: mot-reid fit ")[2]
    assert "'run.name=two words'" in command and command.endswith(" ckpt=last")
    assert run(capsys, *arguments, "ckpt=last")[0] == 0


def test_interrupt_while_reading_images_says_so(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mot_reid.training.fit.read_sources", interrupted)
    code, _, said = run(capsys, *small_arguments(people, tmp_path / "run"))
    assert (code, said) == (130, "interrupted before training began")


def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(tmp_path)}


@pytest.mark.slow
def test_process_that_gets_ctrl_c_leaves_a_checkpoint_to_go_on_from(people: Path, tmp_path: Path) -> None:
    arguments = small_arguments(people, tmp_path / "run", "trainer.max_epochs=400", "run.score_test=false")
    command = [sys.executable, str(ROOT / "tools" / "fit.py"), *arguments]
    process = subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    while not last.exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    complaint = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert "interrupted; go on with:" in complaint and "Traceback" not in complaint
    step = torch.load(last, weights_only=True)["global_step"]
    epochs = step // 5 + 2
    again = small_arguments(people, tmp_path / "run", f"trainer.max_epochs={epochs}", "run.score_test=false")
    resumed = subprocess.run(
        [*command[:2], *again, "ckpt=last"], env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert resumed.returncode == 0, resumed.stderr
    assert torch.load(last, weights_only=True)["global_step"] == 5 * epochs


@pytest.mark.slow
def test_two_processes_score_the_same_weights_as_one(people: Path, tmp_path: Path) -> None:
    """A finished run is resumed, so that nothing is left to train, and scored by one process and by two."""
    arguments = small_arguments(people, tmp_path / "run", "trainer.max_epochs=1", "data.validation=0.2")
    command = [sys.executable, str(ROOT / "tools" / "fit.py"), *arguments]
    scores = []
    for more in ([], ["ckpt=last"], ["ckpt=last", "trainer.devices=2", "trainer.strategy=ddp"]):
        done = subprocess.run([*command, *more], env=environment(tmp_path), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("model  ") == 1  # one process speaks
        scores.append(checkpoint.describe(tmp_path / "run" / "model.safetensors")["provenance"]["scores"])
    assert scores[0].keys() >= {"val/mAP", "val/rank1", "test/mAP", "test/rank1", "test/mINP"}
    assert scores[1] == pytest.approx(scores[0], abs=1e-6)
    assert scores[2] == pytest.approx(scores[0], abs=1e-6)


@pytest.mark.slow
def test_two_processes_train_every_epoch_once(people: Path, tmp_path: Path) -> None:
    arguments = small_arguments(
        people,
        tmp_path / "run",
        "trainer.devices=2",
        "trainer.strategy=ddp",
        "optim.ema=0.9",
        "optim.freeze_epochs=1",
        "loss.centre=5e-4",
    )
    command = [sys.executable, str(ROOT / "tools" / "fit.py"), *arguments]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^epoch +\d/4 ", done.stderr, re.M)) == 4
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 20


# Several processes


@pytest.mark.parametrize(("started_by", "same"), [("another run", False), ("one run", True)])
def test_mistake_is_printed_by_one_process_of_a_run(
    started_by: str, same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each process meets it, and ends with its exit code; another run that meets the same prints it again."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    lines = []
    for rank in (0, 1):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        monkeypatch.setenv("MOT_REID_LAUNCH", "one run" if rank == 0 else started_by)
        code, _, line = run(capsys, "experiment=quickstart", "optim.lrr=1")
        assert code == 2
        lines.append(line)
    assert lines[0] == "command line: no key 'optim.lrr'; did you mean 'optim.lr'?"
    assert lines[1] == ("" if same else lines[0])
