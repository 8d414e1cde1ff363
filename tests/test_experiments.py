"""The experiments load, are honest diffs, and say what their sources say; the sweep loads as W&B's agent runs it."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf

from mot_reid.cli import fit
from mot_reid.settings.load import ROOT, AnyConfig, Config, experiment_names, load_config, load_training
from tests.helpers.runs import teacher_of

EXPERIMENTS = experiment_names()
OF_ACTIONS = [name for name in EXPERIMENTS if name.startswith("actions_")]
OF_PEOPLE = [name for name in EXPERIMENTS if name not in OF_ACTIONS]
SWEEPS = sorted((ROOT / "experiments" / "sweeps").glob("*.yaml"))
BATCHES = 202  # of 64 in the 12,936 training images of Market-1501


@cache
def load(name: str, *arguments: str) -> Config:
    return load_config([f"experiment={name}", *arguments])


def comment(path: Path) -> str:
    """The comment at the head of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))])


# Experiments


def test_promised_experiments_are_there() -> None:
    promised = {
        "actions_synthetic",
        "agw_resnet50_market",
        "mobilenetv2_market_cpu",
        "mobilenetv2_market_cpu_again",
        "mobilenetv2_market_cpu_cameras",
        "osnet_market_scratch",
        "osnet_x0_25_market_cpu",
        "quickstart",
        "resnet50_market",
        "resnet50_market_roadmap",
        "sbs_resnet50_market",
        "vit_small_market",
    }
    assert promised <= set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_loads_under_its_own_name(name: str) -> None:
    config: AnyConfig = load_training([f"experiment={name}"])
    assert (config.run.name, config.run.experiment, config.run.dir) == (name, name, f"runs/{name}")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_names_its_source(name: str) -> None:
    assert "# Source: " in comment(ROOT / "experiments" / f"{name}.yaml")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_repeats_nothing_that_its_bases_say(name: str) -> None:
    body = OmegaConf.load(ROOT / "experiments" / f"{name}.yaml")
    bases = OmegaConf.merge(*[OmegaConf.load(ROOT / "configs" / f"{base}.yaml") for base in body.pop("bases")])
    keys = [f"{section}.{key}" for section, values in body.items() for key in values]
    repeated = [key for key in keys if OmegaConf.select(bases, key) == OmegaConf.select(body, key)]
    assert repeated == []


@pytest.mark.parametrize("group", sorted(path.name for path in (ROOT / "configs").iterdir() if path.is_dir()))
def test_bases_of_a_group_set_the_same_keys(group: str) -> None:
    """So that one of them laid over another leaves nothing of it behind."""
    keys = {
        path.stem: {f"{section}.{key}" for section, values in OmegaConf.load(path).items() for key in values}
        for path in (ROOT / "configs" / group).glob("*.yaml")
    }
    assert len({frozenset(found) for found in keys.values()}) == 1, keys


@pytest.mark.parametrize(
    ("name", "published"),
    [
        # epochs, batch P x K, size, optimiser, lr, weight decay, label smoothing, triplet margin
        ("resnet50_market", (120, 16, 4, 256, 128, "adam", 3.5e-4, 5e-4, 0.1, 0.3)),
        ("resnet50_market_roadmap", (100, 8, 4, 256, 128, "adam", 3.5e-4, 5e-4, 0.1, 0.3)),
        ("agw_resnet50_market", (120, 16, 4, 256, 128, "adam", 3.5e-4, 5e-4, 0.1, 0.3)),
        ("sbs_resnet50_market", (60, 4, 16, 384, 128, "adam", 3.5e-4, 5e-4, 0.1, None)),
        ("osnet_market_scratch", (350, 16, 4, 256, 128, "sgd", 0.065, 5e-4, 0.1, 0.3)),
        ("vit_small_market", (120, 16, 4, 256, 128, "sgd", 0.008, 1e-4, 0.0, None)),
    ],
)
def test_experiment_has_the_published_numbers(name: str, published: tuple[Any, ...]) -> None:
    c = load(name)
    batch = (c.data.identities, c.data.images, c.model.height, c.model.width)
    steps = (c.optim.name, c.optim.lr, c.optim.weight_decay, c.loss.label_smoothing, c.loss.triplet_margin)
    assert (c.trainer.max_epochs, *batch, *steps) == published


@pytest.mark.parametrize(
    ("name", "epoch", "factor"),
    [
        # BoT numbers epochs from 1: 0.01 (1 - e / 10) + e / 10 while warming up, a tenth from epochs 40 and 70 on
        ("resnet50_market", 1, 0.109),
        ("resnet50_market", 10, 1.0),
        ("resnet50_market", 39, 1.0),
        ("resnet50_market", 40, 0.1),
        ("resnet50_market", 70, 0.01),
        ("agw_resnet50_market", 1, 0.109),
        ("agw_resnet50_market", 70, 0.01),
        # torch's StepLR(40), stepped when an epoch ends
        ("resnet50_market_roadmap", 1, 1.0),
        ("resnet50_market_roadmap", 40, 1.0),
        ("resnet50_market_roadmap", 41, 0.1),
        ("resnet50_market_roadmap", 81, 0.01),
        # fast-reid: from a tenth to all within 2,000 iterations; a cosine from epoch 30 to 7e-7 of 3.5e-4
        ("sbs_resnet50_market", 1, 0.1),
        ("sbs_resnet50_market", 11, 1.0),
        ("sbs_resnet50_market", 31, 1.0),
        ("sbs_resnet50_market", 46, 0.002 + 0.998 / 2),
        ("sbs_resnet50_market", 61, 0.002),
        # the paper's 150, 225, 300 under MSINet's warm-up
        ("osnet_market_scratch", 1, 0.01),
        ("osnet_market_scratch", 150, 1.0),
        ("osnet_market_scratch", 151, 0.1),
        ("osnet_market_scratch", 225, 0.1),
        ("osnet_market_scratch", 226, 0.01),
        ("osnet_market_scratch", 300, 0.01),
        ("osnet_market_scratch", 301, 0.001),
        # timm's cosine, whose clock runs during the five epochs of warm-up; TransReID numbers epochs from 1
        ("vit_small_market", 1, 0.01 + 0.99 / 5),
        ("vit_small_market", 60, 0.002 + 0.998 / 2),
        ("vit_small_market", 120, 0.002),
    ],
)
def test_learning_rate_follows_the_published_schedule(name: str, epoch: int, factor: float) -> None:
    from mot_reid.training.optim import factor as learning_rate_factor

    config = load(name)
    assert config.trainer.max_epochs is not None
    found = learning_rate_factor(
        (epoch - 1) * BATCHES,
        schedule=config.optim.schedule,
        epochs=config.trainer.max_epochs,
        steps_per_epoch=BATCHES,
        warmup_epochs=config.optim.warmup_epochs,
        warmup_factor=config.optim.warmup_factor,
        milestones=config.optim.milestones,
        step_epochs=config.optim.step_epochs,
        gamma=config.optim.gamma,
        flat_epochs=config.optim.flat_epochs,
        final_factor=config.optim.final_factor,
        per="step" if config.optim.per == "step" else "epoch",
        count_from=1 if config.optim.count_from else 0,
    )
    assert found == pytest.approx(factor, rel=1e-6)


@pytest.fixture(scope="session")
def drawn_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("people")


@pytest.mark.parametrize("name", OF_PEOPLE)
def test_experiment_trains_and_validates_a_batch_of_drawn_people(name: str, drawn_people: Path, tmp_path: Path) -> None:
    """The whole composition at a small size: its network, losses, optimiser and schedule fit together."""
    width = 32 if load(name).progressive.share else 16  # it may halve them for a while, and 16 is the least
    arguments = [
        f"experiment={name}",
        "data=synthetic",
        f"data.root={drawn_people}",
        "data.identities=2",
        "data.images=2",
        "data.validation=0.5",
        "data.workers=0",
        "synthetic.identities=4",
        "synthetic.test_identities=2",
        "synthetic.cameras=2",
        "synthetic.images_per_camera=2",
        "model.weights=none",
        f"model.height={2 * width}",
        f"model.width={width}",
        "trainer.fast_dev_run=true",
        "trainer.accelerator=cpu",
        f"run.dir={tmp_path / name}",
        *teacher_of(name),
    ]
    assert fit.main(arguments) == 0
    assert load_config([f"experiment={tmp_path / name / 'config.yaml'}"]) == load_config(arguments)


# The sweep


def sweep(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def draw(parameter: dict[str, Any], rng: np.random.Generator) -> Any:
    """One value of a sweep's parameter, as W&B documents its distributions."""
    if "values" in parameter:
        return parameter["values"][rng.integers(len(parameter["values"]))]
    low, high = parameter["min"], parameter["max"]
    kind = parameter["distribution"]
    if kind == "log_uniform_values":
        return float(math.exp(rng.uniform(math.log(low), math.log(high))))
    value = float(rng.uniform(low, high))
    return round(value / parameter["q"]) * parameter["q"] if kind == "q_uniform" else value


def agent_command(path: Path, values: dict[str, Any]) -> list[str]:
    """The command of one run of a sweep, expanded by W&B's own functions.

    Reference:
        wandb/wandb_agent.py, Agent._command_run: the loop over `sweep_command`, in the same order.
    """
    from wandb.sdk.launch.sweeps import utils

    command = sweep(path)
    variables = utils.create_sweep_command_args({"args": {name: {"value": value} for name, value in values.items()}})
    variables |= {"interpreter": ["python"], "program": [command["program"]], "env": ["/usr/bin/env"]}
    expanded: list[str] = []
    for chunk in utils.create_sweep_command(command["command"]):
        if chunk.startswith("${") and chunk.endswith("}"):
            expanded += variables.get(chunk[2:-1]) or []
        else:
            expanded.append(chunk)
    return expanded


def drawn(path: Path, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {name: draw(parameter, rng) for name, parameter in sweep(path)["parameters"].items()}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_agents_command_loads_with_the_drawn_values(path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "abc123")
    values = drawn(path, seed)
    env, interpreter, program, *arguments = agent_command(path, values)
    assert (env, interpreter) == ("/usr/bin/env", "python")
    assert (ROOT / program).name == "fit.py"
    config = load_config(arguments)
    found = {key: getattr(getattr(config, key.partition(".")[0]), key.partition(".")[2]) for key in values}
    assert found == values


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_sweep_values_load_in_the_double_dash_form(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "abc123")
    bare = agent_command(path, drawn(path, 0))[3:]
    assert load_config([f"--{argument}" for argument in bare]) == load_config(bare)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_choice_of_a_sweep_loads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "abc123")
    for name, parameter in sweep(path)["parameters"].items():
        for value in parameter.get("values", [parameter.get("min"), parameter.get("max")]):
            load_config(agent_command(path, {name: value})[3:])


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_runs_of_a_sweep_write_to_folders_of_their_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = set()
    for run_id in ("first", "second"):
        monkeypatch.setenv("WANDB_RUN_ID", run_id)
        folders.add(load_config(agent_command(path, drawn(path, 0))[3:]).run.dir)
    assert len(folders) == 2


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_sweep_optimises_a_validation_score_that_is_logged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "abc123")
    config = load_config(agent_command(path, {})[3:])
    objective = sweep(path)["metric"]
    assert objective == {"name": config.run.monitor, "goal": "maximize"}
    assert config.data.validation > 0
    assert config.run.score_test is False
    if objective["name"] in ("val/idf1", "val/hota"):
        given = config.tracking_metric
        assert None not in (given.video, given.detections, given.ground_truth)
        assert config.trainer.check_val_every_n_epoch % given.every_n_epochs == 0
    assert config.logger.name == ("wandb",)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_bounds_of_a_sweep_are_numbers_to_a_plain_yaml_reader(path: Path) -> None:
    """W&B reads YAML 1.1, to which `1e-4` is a string."""
    bounds = [p[end] for p in sweep(path)["parameters"].values() for end in ("min", "max", "q") if end in p]
    assert [bound for bound in bounds if not isinstance(bound, (int, float))] == []
