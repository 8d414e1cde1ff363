"""The configuration of a training run: what each key means, and how its value is found.

Types live here, values in `configs/`, differences in `experiments/`, this run on the command line. Later layers win:
schema, then the bases an experiment names, then its body, then the command line. Nothing is accepted silently: an
unknown key, a wrong type or a missing value is one `ConfigError` line that names the layer and the key.
"""

from __future__ import annotations

import os
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from omegaconf import DictConfig

ROOT = Path(__file__).resolve().parent.parent
COMMAND_LINE = "command line"


class ConfigError(ValueError):
    """A mistake in the configuration, told in one line that names the layer and the key."""


@dataclass(frozen=True)
class OneOf:
    """The names a string key may hold."""

    names: tuple[str, ...]

    def refuse(self, value: object) -> str | None:
        """Returns what was expected instead of `value`, or None where `value` is allowed."""
        if value in self.names:
            return None
        return f"one of {', '.join(self.names)}{_did_you_mean(str(value), self.names)}"


@dataclass(frozen=True)
class Between:
    """The range of a number, or of each number of a list: `low <= value <= high`, `low` itself left out if `above`."""

    low: float
    high: float = float("inf")
    above: bool = False

    def refuse(self, value: object) -> str | None:
        """Returns what was expected instead of `value`, or None where `value` is allowed."""
        numbers = value if isinstance(value, tuple) else (value,)
        if all(self.low <= x <= self.high and not (self.above and x == self.low) for x in numbers):
            return None
        rule = f"{'above' if self.above else 'at least'} {self.low:g}"
        return rule if self.high == float("inf") else f"{rule} and at most {self.high:g}"


Positive = Between(0, above=True)
Weight = Between(0)
Share = Between(0, 1)
Count = Between(1)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Which run this is, and where it writes."""

    name: Annotated[str, "name of the run"]
    dir: Annotated[str, "folder the run writes to"]
    seed: Annotated[int, Between(0), "seed of every random number"]
    experiment: Annotated[str, "the experiment this came from; filled in while loading"]


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which network, and what it sees and gives."""

    backbone: Annotated[str, "an osnet_x* of our own, or any timm model name"]
    weights: Annotated[str, "pretrained, none, or a file with weights of the backbone"]
    pooling: Annotated[str, OneOf(("avg", "gem")), "how the feature map becomes a vector"]
    neck: Annotated[str, OneOf(("bnneck", "none")), "batch norm between metric losses and classifier"]
    embedding: Annotated[str, OneOf(("after_neck", "before_neck")), "which of the two vectors identifies a person"]
    embedding_dim: Annotated[int | None, Count, "size of a projection before the neck; null keeps the backbone's"]
    last_stride: Annotated[int | None, Between(1, 2), "stride of a ResNet's last stage; null for other backbones"]
    drop_path: Annotated[float, Share, "stochastic depth rate"]
    height: Annotated[int, Count, "height of the network's input in pixels"]
    width: Annotated[int, Count, "width of the network's input in pixels"]
    interpolation: Annotated[str, OneOf(("bilinear", "bicubic")), "how images are resized"]
    mean: Annotated[tuple[float, float, float], "RGB mean taken off, for values 0 to 1"]
    std: Annotated[tuple[float, float, float], Positive, "RGB standard deviation divided by, for values 0 to 1"]


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which images, and how they become batches."""

    kind: Annotated[str, OneOf(("market1501", "folders", "csv", "synthetic")), "how the images are laid out"]
    root: Annotated[str, "folder of the data set"]
    official_counts: Annotated[bool, "refuse a Market-1501 folder without exactly the official numbers of images"]
    validation: Annotated[float, Between(0, 0.9), "share of training persons kept to choose a model; 0 for none"]
    identities: Annotated[int, Count, "persons per batch (P)"]
    images: Annotated[int, Count, "images per person in a batch (K)"]
    batches_per_epoch: Annotated[int | None, Count, "length of an epoch; null is training images // batch size"]
    cache: Annotated[str, OneOf(("auto", "memory", "none")), "keep decoded images in memory; auto: when they fit"]
    workers: Annotated[int, Between(0), "processes that decode images when they are not cached"]
    eval_batch_size: Annotated[int, Count, "images per batch in validation and test"]

    @property
    def batch_size(self) -> int:
        """Images in a training batch."""
        return self.identities * self.images


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """The drawn people of `data.kind=synthetic`."""

    identities: Annotated[int, Between(2), "persons to train on"]
    test_identities: Annotated[int, Between(2), "persons to score on"]
    cameras: Annotated[int, Between(2), "cameras that see each person"]
    images_per_camera: Annotated[int, Count, "images of a person per camera"]
    seed: Annotated[int, Between(0), "seed of the drawing"]


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What happens to a training image, in this order."""

    zoom: Annotated[float, Share, "probability of a random crop after enlarging by 1.125"]
    flip: Annotated[float, Share, "probability of a mirror image"]
    pad: Annotated[int, Between(0), "pixels of border added before a random crop back to size; 0 for none"]
    brightness: Annotated[float, Weight, "largest relative change of brightness"]
    contrast: Annotated[float, Weight, "largest relative change of contrast"]
    saturation: Annotated[float, Weight, "largest relative change of saturation"]
    grayscale: Annotated[float, Share, "probability of losing all colour"]
    erase: Annotated[float, Share, "probability of erasing a rectangle"]
    erase_area: Annotated[tuple[float, float], Share, "smallest and largest erased share of the image"]
    erase_aspect: Annotated[tuple[float, float], Positive, "smallest and largest height / width of the rectangle"]
    erase_fill: Annotated[str, OneOf(("bot", "mean", "random")), "colour of the rectangle; bot: BoT's constant"]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The terms of the loss. A weight of 0 leaves a term out."""

    cross_entropy: Annotated[float, Weight, "weight of the classification loss"]
    classifier: Annotated[
        str, OneOf(("linear", "circle")), "what gives its logits: a matrix, or circle loss on cosines"
    ]
    label_smoothing: Annotated[float, Share, "share of the target spread over all persons"]
    triplet: Annotated[float, Weight, "weight of the batch-hard triplet loss"]
    triplet_margin: Annotated[float | None, Weight, "hinge margin; null is the soft margin"]
    triplet_on: Annotated[str, OneOf(("before_neck", "after_neck")), "which vector the metric losses see"]
    triplet_normalise: Annotated[bool, "scale that vector to unit length first"]
    weighted_triplet: Annotated[float, Weight, "weight of the weighted regularised triplet loss"]
    centre: Annotated[float, Weight, "weight of the centre loss"]
    centre_lr: Annotated[float, Positive, "learning rate of the centres"]
    circle: Annotated[float, Weight, "weight of the pairwise circle loss"]
    circle_margin: Annotated[float, Share, "margin of the circle loss, in either form"]
    circle_scale: Annotated[float, Positive, "scale of the circle loss, in either form"]


@dataclass(frozen=True, kw_only=True)
class Optim:
    """How the weights move."""

    name: Annotated[str, OneOf(("adam", "adamw", "sgd")), "optimiser"]
    lr: Annotated[float, Positive, "learning rate after the warm-up"]
    weight_decay: Annotated[float, Weight, "weight decay"]
    no_decay_norm_and_bias: Annotated[bool, "spare norms and biases the weight decay"]
    bias_lr_factor: Annotated[float, Positive, "learning rate of biases, relative to lr"]
    betas: Annotated[tuple[float, float], Share, "decay of Adam's two moments"]
    amsgrad: Annotated[bool, "AMSGrad's form of Adam and AdamW"]
    momentum: Annotated[float, Share, "momentum of SGD"]
    nesterov: Annotated[bool, "Nesterov's form of SGD"]
    schedule: Annotated[str, OneOf(("constant", "step", "multistep", "cosine", "linear")), "after the warm-up"]
    per: Annotated[str, OneOf(("epoch", "step")), "how often the learning rate is set"]
    count_from: Annotated[int, Between(0, 1), "the number a recipe gives to its first epoch"]
    warmup_epochs: Annotated[float, Weight, "epochs of linear warm-up"]
    warmup_factor: Annotated[float, Share, "share of the learning rate at which the warm-up starts"]
    milestones: Annotated[tuple[float, ...], Positive, "epochs of a decay (multistep)"]
    step_epochs: Annotated[float, Positive, "epochs between two decays (step)"]
    gamma: Annotated[float, Share, "factor of a decay (step, multistep)"]
    flat_epochs: Annotated[float, Weight, "epoch from which the rate falls, warm-up included (cosine, linear)"]
    final_factor: Annotated[float, Share, "share of the learning rate at the end (cosine, linear)"]
    freeze_epochs: Annotated[float, Weight, "epochs at the start during which the backbone stays as it is"]
    ema: Annotated[
        float | None, Between(0, 0.999999), "decay of the averaged weights that are scored and kept; null: none"
    ]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How the machine is used, where Lightning's Trainer has no say."""

    compile: Annotated[bool, "torch.compile the network"]
    channels_last: Annotated[bool, "keep images and kernels in channels-last order"]
    threads: Annotated[int | None, Count, "CPU threads of torch; null leaves its own choice"]


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """The keywords of `lightning.Trainer` that YAML can hold, under their own names and with their own meaning."""

    accelerator: str
    strategy: str
    devices: Any
    num_nodes: int
    precision: int | str | None
    fast_dev_run: bool | int
    max_epochs: int | None
    min_epochs: int | None
    max_steps: int
    min_steps: int | None
    max_time: Any
    limit_train_batches: int | float | None
    limit_val_batches: int | float | None
    limit_test_batches: int | float | None
    limit_predict_batches: int | float | None
    overfit_batches: int | float
    val_check_interval: Any
    check_val_every_n_epoch: int | None
    num_sanity_val_steps: int | None
    log_every_n_steps: int | None
    enable_checkpointing: bool | None
    enable_progress_bar: bool | None
    enable_model_summary: bool | None
    accumulate_grad_batches: int
    gradient_clip_val: int | float | None
    gradient_clip_algorithm: str | None
    deterministic: bool | str | None
    benchmark: bool | None
    inference_mode: bool
    use_distributed_sampler: bool
    profiler: str | None
    detect_anomaly: bool
    barebones: bool
    sync_batchnorm: bool
    reload_dataloaders_every_n_epochs: int
    default_root_dir: str | None
    model_registry: str | None
    enable_autolog_hparams: bool | None

    def arguments(self) -> dict[str, Any]:
        """Returns the keywords for `lightning.Trainer`; the two newest stay away while null, for older releases."""
        newest = ("model_registry", "enable_autolog_hparams")
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if name not in newest or value is not None}


@dataclass(frozen=True, kw_only=True)
class Logger:
    """Where the curves go, beside the CSV file that is always written."""

    name: Annotated[str, OneOf(("csv", "wandb", "tensorboard", "mlflow")), "the logger"]
    project: Annotated[str, "project (W&B) or experiment (MLflow)"]
    entity: Annotated[str | None, "W&B account; null is the default one"]
    uri: Annotated[str | None, "MLflow tracking address; null is a folder in the run"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every setting of a training run, resolved and frozen."""

    run: Run
    model: Model
    data: Data
    synthetic: Synthetic
    augment: Augment
    loss: Loss
    optim: Optim
    engine: Engine
    trainer: Trainer
    logger: Logger


@dataclass(frozen=True)
class Key:
    """What the schema says of one key.

    Args:
        hint: Its type.
        rules: What its value must satisfy.
        meaning: One line for people.
    """

    hint: Any
    rules: tuple[OneOf | Between, ...]
    meaning: str

    @property
    def optional(self) -> bool:
        """Whether null is a value."""
        return self.hint is Any or type(None) in get_args(self.hint)

    @property
    def type_name(self) -> str:
        """The type in the words of a YAML file."""
        return _type_name(self.hint)


def schema() -> dict[str, Key]:
    """Returns every key there is, as `section.key`, in the order of the dataclasses."""
    found = {}
    for section, cls in _sections():
        for name, hint in get_type_hints(cls, include_extras=True).items():
            notes = getattr(hint, "__metadata__", ())
            plain = get_args(hint)[0] if notes else hint
            rules = tuple(note for note in notes if isinstance(note, (OneOf, Between)))
            meaning = next((note for note in notes if isinstance(note, str)), "as in lightning.Trainer")
            found[f"{section}.{name}"] = Key(plain, rules, meaning)
    return found


def load_config(argv: Sequence[str], *, root: Path | None = None, tool_keys: Collection[str] = ()) -> Config:
    """Composes, checks, resolves and freezes the configuration of a run.

    Args:
        argv: Arguments as `key=value` or `--key=value`, without the program: `experiment=NAME` (or the path of a YAML
            file), `group=name` to lay `configs/group/name.yaml` over the experiment, and `section.key=value`.
        root: The folder that holds `configs/` and `experiments/`; None is the one this package lies in.
        tool_keys: Keys that belong to the calling tool and are passed over here.

    Returns:
        The configuration, with every value present and every interpolation resolved.

    Raises:
        ConfigError: If anything is unknown, missing or of the wrong type.
    """
    root = ROOT if root is None else Path(root)
    arguments = {key: text for key, text in parse_arguments(argv).items() if key not in tool_keys}
    if "experiment" not in arguments:
        names = ", ".join(experiment_names(root)) or "none found"
        raise ConfigError(
            f"{COMMAND_LINE}: no experiment named; expected experiment=NAME, where NAME is one of: {names}"
        )
    experiment = arguments.pop("experiment")
    draft = _Draft()
    path = _experiment_path(experiment, root)
    layer, body = _shown(path, root), _read(path, root)
    bases = body.pop("bases", [])
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise ConfigError(f"{layer}: bases: got {bases!r}; expected a list of names such as [base, model/resnet50]")
    for base in bases:
        base_path = _base_path(base, root, layer)
        draft.lay(_shown(base_path, root), _read(base_path, root))
    draft.lay(layer, {"run": {"experiment": experiment}})
    draft.lay(layer, body)
    _lay_command_line(draft, arguments, root, tool_keys)
    return draft.freeze(layer)


def save_config(config: Config, path: Path) -> None:
    """Writes every value as YAML that `load_config(["experiment=<path>"])` reads back to an equal configuration.

    The file appears whole or not at all.

    Args:
        config: What to write.
        path: The file; its folder is made where missing.
    """
    from omegaconf import OmegaConf

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(OmegaConf.to_yaml(OmegaConf.create(_lists(asdict(config)))), encoding="utf-8")
    os.replace(partial, path)


def parse_arguments(argv: Sequence[str], *, allowed: Collection[str] | None = None) -> dict[str, str]:
    """Returns the arguments of a tool by key.

    Args:
        argv: Arguments as `key=value` or `--key=value`, without the program; `--help` and `-h` become `help`.
        allowed: The keys the tool knows; None checks nothing.

    Raises:
        ConfigError: If an argument has no `=`, comes twice, or is none of `allowed`.
    """
    found: dict[str, str] = {}
    for argument in argv:
        if argument in ("--help", "-h"):
            found["help"] = ""
            continue
        key, equals, value = argument.removeprefix("--").partition("=")
        if not equals or not key:
            raise ConfigError(f"{COMMAND_LINE}: got '{argument}'; expected key=value or --key=value")
        if key in found:
            raise ConfigError(f"{COMMAND_LINE}: {key}: got two values, '{found[key]}' and '{value}'; expected one")
        if allowed is not None and key not in allowed:
            raise ConfigError(f"{COMMAND_LINE}: no key '{key}'{_did_you_mean(key, allowed)}")
        found[key] = value
    return found


def experiment_names(root: Path | None = None) -> list[str]:
    """Returns the names that `experiment=` takes, sorted.

    Args:
        root: The folder that holds `experiments/`; None is the one this package lies in.
    """
    return sorted(path.stem for path in ((root or ROOT) / "experiments").glob("*.yaml"))


def describe_keys(root: Path | None = None) -> str:
    """Returns the help text: experiments with the first line of their comment, bases by group, keys with their type.

    Args:
        root: The folder that holds `configs/` and `experiments/`; None is the one this package lies in.
    """
    root = root or ROOT
    lines = ["experiments (experiment=NAME, or a path to a YAML file):"]
    for name in experiment_names(root):
        first = (root / "experiments" / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0]
        lines.append(f"  {name:<26} {first.removeprefix('#').strip() if first.startswith('#') else ''}".rstrip())
    lines += ["", "bases (GROUP=NAME lays one over the experiment):"]
    for group in _groups(root):
        lines.append(f"  {group:<10} {', '.join(_group_names(group, root))}")
    values = dict(_leaves("configs/base.yaml", _read(root / "configs" / "base.yaml", root)))
    lines += ["", "keys (SECTION.KEY=VALUE; the value is that of configs/base.yaml):"]
    for key, spec in schema().items():
        value = f" = {_yaml_text(values[key])}" if values.get(key, "???") != "???" else ""
        names = "".join(f" ({' | '.join(rule.names)})" for rule in spec.rules if isinstance(rule, OneOf))
        lines.append(f"  {key}: {spec.type_name}{value}{names}\n      {spec.meaning}")
    return "\n".join(lines)


class _Draft:
    """A configuration under construction, which remembers the layer that each value came from."""

    def __init__(self) -> None:
        from omegaconf import OmegaConf

        self.keys = schema()
        self.origin: dict[str, str] = {}
        self.config: DictConfig = OmegaConf.create({name: OmegaConf.structured(cls) for name, cls in _sections()})
        for name, _ in _sections():
            OmegaConf.set_readonly(self.config[name], False)

    def lay(self, layer: str, body: Mapping[str, Any]) -> None:
        """Sets every value of a nested mapping."""
        for key, value in _leaves(layer, body):
            self.set(layer, key, value)

    def set(self, layer: str, key: str, value: Any, tool_keys: Collection[str] = ()) -> None:
        """Sets one value after checking that its key exists and that it has the type of the schema."""
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        self.check_key(layer, key, tool_keys)
        if value == "???":
            self.origin.pop(key, None)
            return
        try:
            OmegaConf.update(self.config, key, value)
        except OmegaConfBaseException:
            expected = self.keys[key].type_name
            raise ConfigError(f"{layer}: {key}: got {_yaml_text(value)}; expected {expected}") from None
        self.origin[key] = layer

    def check_key(self, layer: str, key: str, tool_keys: Collection[str] = ()) -> None:
        """Refuses a key that the schema lacks."""
        if key in self.keys:
            return
        inside = [name for name in self.keys if name.startswith(f"{key}.")]
        if inside:
            raise ConfigError(f"{layer}: '{key}' is a section; set one of its keys, such as '{inside[0]}'")
        names = [*self.keys, *tool_keys, "experiment"]
        raise ConfigError(f"{layer}: no key '{key}'{_did_you_mean(key, names)}")

    def freeze(self, layer: str) -> Config:
        """Returns the finished configuration; a value that is still missing is the fault of `layer`."""
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        missing = [key for key in self.keys if key not in self.origin]
        if missing:
            raise ConfigError(f"{layer}: no value for '{missing[0]}'; set it here, in a base or on the command line")
        sections: dict[str, dict[str, Any]] = {name: {} for name, _ in _sections()}
        for key, spec in self.keys.items():
            section, _, name = key.partition(".")
            try:
                value = OmegaConf.select(self.config, key, throw_on_missing=True)
                value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
            except OmegaConfBaseException as error:
                reason = str(error).partition("\n")[0]
                raise ConfigError(f"{self.origin[key]}: {key}: {reason}") from None
            value = _frozen(value)
            self.check_value(key, spec, value)
            sections[section][name] = value
        return Config(**{name: cls(**sections[name]) for name, cls in _sections()})

    def check_value(self, key: str, spec: Key, value: Any) -> None:
        """Refuses a resolved value that breaks a rule of its key."""
        if value is None and spec.optional:
            return
        if value == "":
            raise ConfigError(f"{self.origin[key]}: {key}: got nothing; expected a {spec.type_name}")
        for refuse in (_wrong_length(spec.hint), *(rule.refuse for rule in spec.rules)):
            expected = refuse(value)
            if expected is not None:
                raise ConfigError(f"{self.origin[key]}: {key}: got {_yaml_text(value)}; expected {expected}")


def _lay_command_line(draft: _Draft, arguments: Mapping[str, str], root: Path, tool_keys: Collection[str]) -> None:
    """Lays the bases that the command line names over the draft, then its single keys."""
    groups = _groups(root)
    for group in (key for key in arguments if key in groups):
        path = _base_path(f"{group}/{arguments[group]}", root, COMMAND_LINE)
        draft.lay(_shown(path, root), _read(path, root))
    for key, text in arguments.items():
        if key not in groups:
            draft.check_key(COMMAND_LINE, key, tool_keys)
            draft.set(COMMAND_LINE, key, _parsed(text, draft.keys[key], key))


def _parsed(text: str, spec: Key, key: str) -> Any:
    """Reads a value from the command line: as YAML, or as it stands where the key holds a string.

    `None` is null as well: W&B's agent writes Python's form.
    """
    from omegaconf import OmegaConf

    if spec.optional and text in ("null", "None", "~", ""):
        return None
    if spec.hint is str or (spec.optional and str in get_args(spec.hint) and len(get_args(spec.hint)) == 2):
        return text
    if text.startswith("${"):
        return text
    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]  # type: ignore[call-overload,index]
    except Exception:  # the YAML library's own errors, which this module does not import
        raise ConfigError(f"{COMMAND_LINE}: {key}: got '{text}'; expected {spec.type_name}") from None


def _read(path: Path, root: Path) -> dict[str, Any]:
    """Reads a YAML file as a nested mapping, interpolations left as they are."""
    from omegaconf import DictConfig, OmegaConf

    shown = _shown(path, root)
    try:
        loaded = OmegaConf.load(path)
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read: {error.strerror}") from None
    except Exception as error:  # the YAML library's own errors, which this module does not import
        raise ConfigError(f"{shown}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(loaded, DictConfig):
        raise ConfigError(f"{shown}: got a list; expected a mapping of sections")
    return OmegaConf.to_container(loaded, resolve=False)  # type: ignore[return-value]


def _leaves(layer: str, body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the values of a nested mapping as (`section.key`, value)."""
    for section, values in body.items():
        if section not in {name for name, _ in _sections()}:
            raise ConfigError(f"{layer}: no section '{section}'{_did_you_mean(section, [n for n, _ in _sections()])}")
        if not isinstance(values, dict):
            raise ConfigError(f"{layer}: {section}: got {_yaml_text(values)}; expected a mapping of keys to values")
        for name, value in values.items():
            yield f"{section}.{name}", value


def _experiment_path(experiment: str, root: Path) -> Path:
    """Finds the file of an experiment given by name or by path."""
    if experiment.endswith((".yaml", ".yml")):
        path = Path(experiment)
        if not path.is_file():
            raise ConfigError(f"{COMMAND_LINE}: no experiment file '{experiment}'; expected a path to a YAML file")
        return path
    names = experiment_names(root)
    if experiment not in names:
        hint = _did_you_mean(experiment, names) or f"; the experiments are: {', '.join(names) or 'none'}"
        raise ConfigError(f"{COMMAND_LINE}: no experiment '{experiment}'{hint}")
    return root / "experiments" / f"{experiment}.yaml"


def _base_path(base: str, root: Path, layer: str) -> Path:
    """Finds the file of a base that `layer` names."""
    names = [path.stem for path in sorted((root / "configs").glob("*.yaml"))]
    names += [f"{group}/{name}" for group in _groups(root) for name in _group_names(group, root)]
    if base not in names:
        group = base.partition("/")[0]
        near = [name for name in names if name.startswith(f"{group}/")]
        hint = _did_you_mean(base, names) or f"; the bases are: {', '.join(near or names)}"
        raise ConfigError(f"{layer}: no base '{base}'{hint}")
    return root / "configs" / f"{base}.yaml"


def _groups(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "configs").glob("*") if path.is_dir())


def _group_names(group: str, root: Path) -> list[str]:
    return sorted(path.stem for path in (root / "configs" / group).glob("*.yaml"))


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _sections() -> list[tuple[str, type]]:
    return list(get_type_hints(Config).items())


def _did_you_mean(name: str, names: Collection[str]) -> str:
    """Returns the end of a sentence that offers the nearest of `names`, or nothing where none is near."""
    near = get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def _type_name(hint: Any) -> str:
    """Returns a type in the words of a YAML file."""
    if hint is Any:
        return "any value"
    if get_origin(hint) in (Union, types.UnionType):
        parts = get_args(hint)
        return " or ".join("null" if part is type(None) else _type_name(part) for part in parts)
    if get_origin(hint) is tuple:
        element, last = get_args(hint)[0], get_args(hint)[-1]
        return f"a list of {'' if last is Ellipsis else f'{len(get_args(hint))} '}{element.__name__}s"
    return {str: "string"}.get(hint, hint.__name__)


def _wrong_length(hint: Any) -> Callable[[object], str | None]:
    """Returns the check that a list has as many values as its type says (OmegaConf before 2.4 does not look)."""
    sizes = get_args(hint) if get_origin(hint) is tuple else ()

    def refuse(value: object) -> str | None:
        right = not sizes or sizes[-1] is Ellipsis or (isinstance(value, tuple) and len(value) == len(sizes))
        return None if right else _type_name(hint)

    return refuse


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, (list, tuple)) else value


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _yaml_text(value: Any) -> str:
    """Returns a value the way a person would write it in a file or on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_yaml_text(item) for item in value)}]"
    return f"'{value}'" if isinstance(value, str) else str(value)
