"""The configuration: which layer wins, and what a mistake in each layer is told."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from mot_reid.settings.load import (
    ROOT,
    Config,
    ConfigError,
    load_config,
    save_config,
)
from mot_reid.settings.schema import schema, sections
from mot_reid.settings.sources import parse_arguments
from mot_reid.settings.training import Trainer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with our configs and an experiment of its own, to be spoiled."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    experiment(tmp_path, "small", "run: {name: small}\ntrainer: {max_epochs: 3}\n")
    return tmp_path


def experiment(
    root: Path, name: str, body: str, *, bases: str = "base, model/resnet50, data/synthetic, optim/sgd"
) -> None:
    folder = root / "experiments"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(f"bases: [{bases}, trainer/default, logger/csv]\n{body}", encoding="utf-8")


def load(root: Path, *arguments: str) -> Config:
    return load_config(["experiment=small", *arguments], root=root)


def refusal(root: Path, *arguments: str) -> str:
    """The one line with which the arguments are refused."""
    with pytest.raises(ConfigError) as caught:
        load(root, *arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Layers


def test_bases_lay_later_over_earlier(root: Path) -> None:
    (root / "configs" / "late.yaml").write_text("run: {seed: 7}\n")
    experiment(
        root,
        "small",
        "run: {name: small}\ntrainer: {max_epochs: 3}\n",
        bases="base, model/resnet50, data/synthetic, optim/sgd, late",
    )
    assert load(root).run.seed == 7


def test_experiment_wins_over_bases(root: Path) -> None:
    experiment(root, "small", "run: {name: small}\ntrainer: {max_epochs: 3}\noptim: {lr: 0.5}\n")
    assert load(root).optim.lr == 0.5


def test_command_line_wins_over_experiment(root: Path) -> None:
    experiment(root, "small", "run: {name: small}\ntrainer: {max_epochs: 3}\noptim: {lr: 0.5}\n")
    assert load(root, "optim.lr=0.25").optim.lr == 0.25


def test_command_line_base_wins_over_experiment_and_yields_to_single_keys(root: Path) -> None:
    experiment(root, "small", "run: {name: small}\ntrainer: {max_epochs: 3}\noptim: {lr: 0.5, weight_decay: 0.5}\n")
    config = load(root, "optim.lr=0.25", "optim=adam")
    assert (config.optim.name, config.optim.lr, config.optim.weight_decay) == ("adam", 0.25, 5e-4)


def test_values_that_no_layer_touches_come_from_the_base(root: Path) -> None:
    assert load(root, "data=market1501").data.identities == 16


def test_interpolation_sees_the_winning_layer(root: Path) -> None:
    assert load(root, "run.name=other").run.dir == "runs/other"


def test_interpolation_given_on_the_command_line_resolves(root: Path) -> None:
    assert load(root, "model.embedding_dim=${model.height}").model.embedding_dim == 256


def test_loader_fills_in_the_experiment(root: Path) -> None:
    assert load(root).run.experiment == "small"


# Command line


def test_double_dash_form_is_the_same(root: Path) -> None:
    assert load(root, "--optim.lr=1e-05", "--data=csv") == load(root, "optim.lr=0.00001", "data=csv")


@pytest.mark.parametrize("text", ["null", "None", "~", ""])
def test_null_reaches_an_optional_key(root: Path, text: str) -> None:
    assert load(root, f"loss.triplet_margin={text}").loss.triplet_margin is None


def test_lists_are_read_from_the_command_line(root: Path) -> None:
    config = load(root, "optim.milestones=[40, 70]", "augment.erase_area=[0.1,0.2]")
    assert (config.optim.milestones, config.augment.erase_area) == ((40.0, 70.0), (0.1, 0.2))


@pytest.mark.parametrize("text", ["007", "1e-3", "a=b", "true", "C:\\people", "a: b", "[1]", "äöü # 1"])
def test_strings_are_kept_as_written(root: Path, text: str) -> None:
    assert load(root, f"run.name={text}").run.name == text


@pytest.mark.parametrize(
    ("text", "roots"),
    [
        ("a", ("a",)),
        ("a,b", ("a,b",)),
        ("[a, b c]", ("a", "b c")),
        ("[a/{b}.txt, c]", ("a/{b}.txt", "c")),  # a mapping in YAML
        ("['a/{b}, c', d]", ("a/{b}, c", "d")),
        ("C:\\people", ("C:\\people",)),
        ("007", ("007",)),
    ],
)
def test_one_folder_is_written_plainly_and_several_as_a_list(root: Path, text: str, roots: tuple[str, ...]) -> None:
    assert load(root, f"data.root={text}").data.root == roots


@pytest.mark.parametrize(
    ("argument", "value"),
    [("trainer.devices=2", 2), ("trainer.devices=auto", "auto"), ("trainer.devices=[0,1]", (0, 1))],
)
def test_untyped_keys_are_read_as_yaml(root: Path, argument: str, value: object) -> None:
    assert load(root, argument).trainer.devices == value


def test_keys_of_the_tool_are_passed_over(root: Path) -> None:
    assert load_config(["experiment=small", "ckpt=last"], root=root, tool_keys=["ckpt"]) == load(root)


def test_keys_of_the_tool_are_offered_to_a_typo(root: Path) -> None:
    with pytest.raises(ConfigError, match="no key 'cktp'; did you mean 'ckpt'"):
        load_config(["experiment=small", "cktp=last"], root=root, tool_keys=["ckpt"])


# Mistakes, layer by layer


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("optim.lrr=1", "command line: no key 'optim.lrr'; did you mean 'optim.lr'?"),
        ("lr=1", "command line: no key 'lr'; did you mean 'optim.lr'?"),
        ("xyz.qqq=1", "command line: no key 'xyz.qqq'"),
        (
            "data.batch_size=64",
            "command line: no key 'data.batch_size', which is data.identities times data.images, the images in a "
            "training batch; set those",
        ),
        (
            "batch_size=64",
            "command line: no key 'batch_size', which is data.identities times data.images, the images in a "
            "training batch; set those",
        ),
        ("optim.lr=fast", "command line: optim.lr: got 'fast'; expected float"),
        ("optim.lr=None", "command line: optim.lr: got 'None'; expected float"),
        ("optim.lr=[1]", "command line: optim.lr: got [1]; expected float"),
        ("optim.lr=nan", "command line: optim.lr: got nan; expected a number above 0"),
        ("optim.lr=inf", "command line: optim.lr: got inf; expected a number above 0"),
        ("optim.lr=-1", "command line: optim.lr: got -1.0; expected a number above 0"),
        ("data.images=2.5", "command line: data.images: got 2.5; expected int"),
        ("data.images=true", "command line: data.images: got true; expected int"),
        (
            "data.validation=1.5",
            "command line: data.validation: got 1.5; expected a number of at least 0 and at most 0.9",
        ),
        ("data.official_counts=maybe", "command line: data.official_counts: got 'maybe'; expected true or false"),
        ("optim.milestones=[1,a]", "command line: optim.milestones: got [1, 'a']; expected a list of floats"),
        ("optim.milestones=[1", "command line: optim.milestones: got '[1'; expected a list of floats"),
        ("optim.betas=[0.9]", "command line: optim.betas: got [0.9]; expected a list of 2 floats"),
        ("model.std=[1,1,0]", "command line: model.std: got [1.0, 1.0, 0.0]; expected a number above 0"),
        (
            "trainer.gradient_clip_val=-1",
            "command line: trainer.gradient_clip_val: got -1; expected a number of at least 0",
        ),
        ("trainer.max_epochs=ten", "command line: trainer.max_epochs: got 'ten'; expected int or null"),
        (
            "optim.name=adm",
            "command line: optim.name: got 'adm'; expected one of adam, adamw, sgd; did you mean 'adam'?",
        ),
        ("run.name=", "command line: run.name: got ''; expected a string"),
        ("data=synthetc", "command line: no base 'data/synthetc'; did you mean 'data/synthetic'?"),
        ("loss=1", "command line: 'loss' is a section; set one of its keys, such as 'loss.cross_entropy'"),
        ("run.dir=${run.nam}", "command line: run.dir: Interpolation key 'run.nam' not found"),
        ("optim.lr", "command line: got 'optim.lr'; expected key=value or --key=value"),
    ],
)
def test_mistake_on_the_command_line_is_one_line(root: Path, argument: str, line: str) -> None:
    assert refusal(root, argument) == line


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("optim: {lrr: 1}", "no key 'optim.lrr'; did you mean 'optim.lr'?"),
        ("optim: {lr: fast}", "optim.lr: got 'fast'; expected float"),
        ("optim: {lr: null}", "optim.lr: got null; expected float"),
        ("optim: 3", "optim: got 3; expected a mapping of keys to values"),
        ("opitm: {lr: 1}", "no section 'opitm'; did you mean 'optim'?"),
        (
            "model: {pooling: gum}",
            "model.pooling: got 'gum'; expected one of avg, gem, token; did you mean 'gem'?",
        ),
        ("run: {name: small, dir: '${run.nam}'}", "run.dir: Interpolation key 'run.nam' not found"),
    ],
)
@pytest.mark.parametrize("layer", ["experiments/small.yaml", "configs/late.yaml"])
def test_mistake_in_a_file_names_the_file(root: Path, layer: str, body: str, line: str) -> None:
    rest = "trainer: {max_epochs: 3}\n"
    if layer.startswith("configs"):
        (root / layer).write_text(body)
        rest += "run: {name: small}\n"
        experiment(root, "small", rest, bases="base, model/resnet50, data/synthetic, optim/sgd, late")
    else:
        rest += "" if body.startswith("run") else "run: {name: small}\n"
        experiment(root, "small", f"{rest}{body}\n")
    assert refusal(root) == f"{layer}: {line}"


def test_missing_base_offers_the_nearest(root: Path) -> None:
    experiment(root, "small", "run: {name: small}\n", bases="base, model/resnet5")
    assert refusal(root) == "experiments/small.yaml: no base 'model/resnet5'; did you mean 'model/resnet50'?"


def test_bases_that_are_no_list_are_refused(root: Path) -> None:
    (root / "experiments" / "small.yaml").write_text("bases: base\n")
    assert refusal(root).startswith("experiments/small.yaml: bases: got 'base'; expected a list of names")


def test_key_written_twice_in_a_file_is_refused(root: Path) -> None:
    experiment(root, "small", "run: {name: a}\nrun: {name: b}\n")
    assert refusal(root) == "experiments/small.yaml, line 3: not valid YAML: found duplicate key run"


@pytest.mark.parametrize("body", ["run: {name: small}\n", "run: {name: small}\ntrainer: {max_epochs: '???'}\n"])
def test_missing_value_names_the_first_key_without_one(root: Path, body: str) -> None:
    experiment(root, "small", body)
    line = "experiments/small.yaml: no value for 'trainer.max_epochs'; set it here, in a base or on the command line"
    assert refusal(root) == line


def test_unknown_experiment_offers_the_nearest(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"^command line: no experiment 'smal'; did you mean 'small'\?$"):
        load_config(["experiment=smal"], root=root)


def test_file_that_is_no_mapping_is_refused(root: Path) -> None:
    (root / "experiments" / "small.yaml").write_text("- base\n")
    assert refusal(root) == "experiments/small.yaml: got a list; expected a mapping of sections"


def test_file_that_cannot_be_read_is_named(root: Path) -> None:
    (root / "configs" / "late.yaml").mkdir()
    experiment(root, "small", "", bases="late")
    assert refusal(root) == "configs/late.yaml: cannot be read: Is a directory"


def test_experiment_file_that_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"^command line: no experiment file 'nowhere/a.yaml'"):
        load_config(["experiment=nowhere/a.yaml"], root=root)


def test_no_experiment_lists_those_there_are(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"^command line: no experiment named; expected experiment=NAME, .*small$"):
        load_config(["optim.lr=1"], root=root)


def test_folder_without_configs_says_how_to_install(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no folder 'configs' in .*; install the package again"):
        load_config(["experiment=small"], root=tmp_path)


def test_value_of_an_interpolation_must_have_the_type_of_the_key(root: Path) -> None:
    assert refusal(root, "data.images=${optim.lr}").startswith("command line: data.images: ")


# The result


def test_config_is_frozen_to_the_leaves(root: Path) -> None:
    config = load(root)
    for section, _ in sections(Config):
        values = dataclasses.asdict(getattr(config, section))
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(getattr(config, section), next(iter(values)), 1)
        assert not [name for name, value in values.items() if isinstance(value, (list, dict))]


def test_config_is_hashable_plain_python(root: Path) -> None:
    assert hash(load(root)) == hash(load(root))


def test_batch_size_is_persons_times_images(root: Path) -> None:
    assert load(root, "data.identities=6", "data.images=3").data.batch_size == 18


def test_saved_config_is_an_experiment_that_gives_the_same(root: Path) -> None:
    config = load(root, "optim.milestones=[40,70]", "loss.triplet_margin=null", "run.name=1e-3", "optim.lr=1e-05")
    save_config(config, root / "runs" / "one" / "config.yaml")
    assert load_config([f"experiment={root / 'runs' / 'one' / 'config.yaml'}"], root=root) == config


def test_saved_config_yields_to_the_command_line(root: Path) -> None:
    save_config(load(root), root / "config.yaml")
    config = load_config([f"experiment={root / 'config.yaml'}", "data=market1501", "optim.lr=1"], root=root)
    assert (config.data.kind, config.optim.lr) == ("market1501", 1.0)


def test_saving_leaves_one_file_and_replaces_the_former(root: Path) -> None:
    for name in ("first", "second"):
        save_config(load(root, f"run.name={name}"), root / "out" / "config.yaml")
    assert [path.name for path in (root / "out").iterdir()] == ["config.yaml"]
    assert "name: second" in (root / "out" / "config.yaml").read_text()


def test_list_of_the_wrong_length_is_refused_by_the_schema_itself() -> None:
    """OmegaConf counts from 2.4 on, and we support 2.3."""
    assert schema(Config)["optim.betas"].refuse((0.9,)) == "a list of 2 floats"
    assert schema(Config)["optim.milestones"].refuse((40.0, 70.0, 90.0)) is None


def test_schema_holds_no_values() -> None:
    defaults = [
        f"{name}.{field.name}"
        for name, cls in sections(Config)
        for field in dataclasses.fields(cls)
        if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    ]
    assert defaults == []


def test_trainer_keys_are_those_of_lightning() -> None:
    import inspect

    from lightning import Trainer as LightningTrainer

    objects = {"self", "logger", "callbacks", "plugins"}  # built by the tool, not written in YAML
    theirs = set(inspect.signature(LightningTrainer.__init__).parameters) - objects
    assert theirs - {field.name for field in dataclasses.fields(Trainer)} == set()


def test_trainer_arguments_leave_out_what_older_lightning_lacks(root: Path) -> None:
    arguments = load(root, "trainer.devices=[0,1]").trainer.arguments()
    assert "model_registry" not in arguments
    assert arguments["gradient_clip_val"] is None
    assert arguments["devices"] == [0, 1]


# Small tools


def test_arguments_are_read_by_key() -> None:
    assert parse_arguments(["a=1", "--b.c=x=y"]) == {"a": "1", "b.c": "x=y"}


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["a=1", "--a=2"], "command line: a: got two values, '1' and '2'; expected one"),
        (["--a"], "command line: got '--a'; expected key=value or --key=value"),
        (["=1"], "command line: got '=1'; expected key=value or --key=value"),
    ],
)
def test_bad_argument_is_one_line(argv: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_arguments(argv)
    assert str(caught.value) == line


def test_import_loads_neither_torch_nor_omegaconf() -> None:
    code = (
        "import sys, mot_reid.settings.load; "
        "print([m for m in ('torch', 'omegaconf', 'numpy', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("key", ["model.height", "model.width"])
def test_images_too_small_for_any_backbone_are_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key}: got 8; expected a number of at least 16"):
        load_config(["experiment=quickstart", f"{key}=8"])


def test_values_are_converted_without_a_warning() -> None:
    """OmegaConf 2.4 warns where a whole number or a list is assigned to a key of another type."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_config(["experiment=quickstart", "optim.warmup_epochs=1", "optim.betas=[0.8,0.9]", "logger.tags=[a]"])
