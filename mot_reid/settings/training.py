"""The keys of `mot-reid fit`: types, rules and meanings.

Types only: every value is in `configs/`, and differs in `experiments/`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any

from mot_reid.settings.schema import Between, Count, OneOf, Positive, Share, Weight
from mot_reid.settings.tracker_parameters import USE_EMBEDDINGS

LEAST_SIDE = 16
"""Least side of a network's input in pixels: with less, nothing is left after the strides of the backbones."""
Side = Between(LEAST_SIDE)
DATA_KINDS = ("auto", "market1501", "msmt17", "dukemtmc", "cuhk03", "veri776", "folders", "csv", "synthetic")


@dataclass(frozen=True, kw_only=True)
class AnyRun:
    """Which run this is, and where it writes."""

    name: Annotated[str, "name of the run"]
    dir: Annotated[str, "folder the run writes to"]
    seed: Annotated[
        int,
        Between(0),
        "seed of every random number; several as [0,1,2] train one after the other",
    ]
    score_test: Annotated[bool, "score the test split at the end; turn it off while you choose settings"]
    callbacks: Annotated[
        tuple[str, ...], "further Lightning callbacks by their import paths, such as my_package.callbacks.Beep"
    ]
    experiment: Annotated[str, "experiment that this came from; filled in while loading"]


@dataclass(frozen=True, kw_only=True)
class Run(AnyRun):
    """Which run this is, and where it writes."""

    score_untrained: Annotated[bool, "also score the untrained network on the test split"]
    false_match_rate: Annotated[
        float, Between(0, 0.5, above=True), "share of pairs of different persons that the stored threshold may accept"
    ]
    monitor: Annotated[
        str,
        OneOf(("val/mAP", "val/rank1", "val/mINP", "val/idf1", "val/hota")),
        "validation score by which the best checkpoint is chosen",
    ]


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which network, and what it sees and gives."""

    backbone: Annotated[
        str,
        "osnet_x0_25 to osnet_x1_0, osnet_ain_x0_25 to osnet_ain_x1_0, mobilenetv2_short, or any timm model",
    ]
    weights: Annotated[str, "pretrained, none, a file with weights of the backbone, or a bundled model"]
    pooling: Annotated[
        str, OneOf(("avg", "gem", "token")), "how the feature map becomes a vector; token: the class token of a ViT"
    ]
    neck: Annotated[str, OneOf(("bnneck", "none")), "bnneck: a batch norm between the metric losses and the classifier"]
    embedding: Annotated[str, OneOf(("after_neck", "before_neck")), "the vector that identifies a person"]
    embedding_dim: Annotated[int | None, Count, "size of a projection before the neck; null: none, the backbone's size"]
    last_stride: Annotated[int, Between(1, 2), "stride of a ResNet's last stage; other backbones ignore it"]
    non_local: Annotated[tuple[int, ...], Between(0), "non-local blocks of a ResNet's four stages, as [0, 2, 3, 0]"]
    input_norm: Annotated[
        bool, "normalise each image by its own mean and deviation of each colour: other cameras and light matter less"
    ]
    drop_path: Annotated[float, Share, "stochastic depth rate"]
    height: Annotated[int, Side, "height of the network's input in pixels"]
    width: Annotated[int, Side, "width of the network's input in pixels"]
    interpolation: Annotated[str, OneOf(("bilinear", "bicubic")), "how images are resized to the network's input"]
    mean: Annotated[tuple[float, float, float], "RGB mean that is subtracted, for values from 0 to 1"]
    std: Annotated[tuple[float, float, float], Positive, "RGB standard deviation to divide by, for values from 0 to 1"]


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which images, and how they become batches."""

    kind: Annotated[str, OneOf(DATA_KINDS), "layout of the data set; auto: recognised from each folder"]
    root: Annotated[tuple[str, ...], "folder of the data set, or of several as [a, b]"]
    share: Annotated[
        tuple[float, ...] | None,
        Positive,
        "persons of each data set in a batch, relative to the others, as [3, 1]; null: the same number of each",
    ]
    official_counts: Annotated[bool, "require the published numbers of images of the data set"]
    validation: Annotated[
        float, Between(0, 0.9), "share of the training persons held out to choose a model; 0 for none"
    ]
    validation_cameras: Annotated[
        tuple[int, ...],
        "cameras left out of training; their images of the held-out persons are the queries of validation",
    ]
    identities: Annotated[int, Count, "persons per batch (P)"]
    images: Annotated[int, Count, "images per person in a batch (K)"]
    batches_per_epoch: Annotated[
        int | None, Count, "batches in an epoch; null: number of training images // batch size"
    ]
    cache: Annotated[
        str,
        OneOf(("auto", "device", "memory", "none")),
        "where decoded images are kept: on the training device or in the host's memory; auto: the first that has room",
    ]
    workers: Annotated[int, Between(0), "processes that decode images where they are not cached"]
    eval_batch_size: Annotated[int, Count, "images per batch in validation and test"]

    @property
    def batch_size(self) -> int:
        """`data.identities` times `data.images`, the images in a training batch."""
        return self.identities * self.images


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """The synthetic people of `data.kind=synthetic`."""

    identities: Annotated[int, Between(2), "persons to train on"]
    test_identities: Annotated[int, Between(2), "persons to score on"]
    cameras: Annotated[int, Between(2), "cameras that see each person"]
    images_per_camera: Annotated[int, Count, "images of a person per camera"]
    seed: Annotated[int, Between(0), "seed of the drawing"]


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What happens to a training image, in this order."""

    zoom: Annotated[float, Share, "probability of a random crop after enlarging by 1.125"]
    flip: Annotated[float, Share, "probability of a horizontal flip"]
    pad: Annotated[int, Between(0), "pixels of border added before a random crop back to size; 0 for none"]
    brightness: Annotated[float, Weight, "largest relative change of brightness"]
    contrast: Annotated[float, Weight, "largest relative change of contrast"]
    saturation: Annotated[float, Weight, "largest relative change of saturation"]
    grayscale: Annotated[float, Share, "probability of turning the image grey"]
    erase: Annotated[float, Share, "probability of erasing a rectangle"]
    erase_area: Annotated[
        tuple[float, float], Share, "smallest and largest area of the rectangle, as a share of the image"
    ]
    erase_aspect: Annotated[
        tuple[float, float], Positive, "smallest and largest aspect (height / width) of the rectangle"
    ]
    erase_fill: Annotated[
        str,
        OneOf(("bot", "mean", "random")),
        "fill of the rectangle: BoT's constant, the mean colour, or random pixels",
    ]
    mixstyle: Annotated[
        float, Share, "probability, for a batch, of mixing the style of the first two stages' features between images"
    ]
    calm_share: Annotated[
        float, Share, "share of the epochs, at the end, without zoom, colour changes, erasing and MixStyle"
    ]


@dataclass(frozen=True, kw_only=True)
class Progressive:
    """A start with smaller images, which costs less; validation and the model always have the full size."""

    share: Annotated[float, Share, "share of the epochs, from the first, with smaller images; 0 for none"]
    scale: Annotated[float, Between(0, 1, above=True), "height and width of those images, relative to the full size"]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The terms of the loss. A weight of 0 leaves a term out."""

    cross_entropy: Annotated[float, Weight, "weight of the classification loss"]
    classifier: Annotated[
        str,
        OneOf(("linear", "circle")),
        "linear: a weight matrix; circle: circle loss on the cosines to the class weights",
    ]
    label_smoothing: Annotated[float, Share, "share of the target that is spread over all persons"]
    triplet: Annotated[float, Weight, "weight of the batch-hard triplet loss"]
    triplet_margin: Annotated[float | None, Weight, "margin of the hinge; null: the soft margin"]
    triplet_on: Annotated[str, OneOf(("before_neck", "after_neck")), "the vector that the metric losses compare"]
    triplet_normalise: Annotated[bool, "scale that vector to unit length for the triplet losses"]
    weighted_triplet: Annotated[float, Weight, "weight of the weighted regularised triplet loss"]
    centre: Annotated[float, Weight, "weight of the centre loss"]
    centre_lr: Annotated[float, Positive, "learning rate of the centres"]
    circle: Annotated[float, Weight, "weight of the pairwise circle loss"]
    circle_margin: Annotated[float, Share, "margin of the circle loss, pairwise or as classifier"]
    circle_scale: Annotated[float, Positive, "scale of the circle loss, pairwise or as classifier"]


@dataclass(frozen=True, kw_only=True)
class Distill:
    """The teacher whose embeddings are learned, in addition to the terms of the loss or in place of them."""

    teacher: Annotated[
        str | None, "a model.safetensors or the name of a bundled model, an ONNX or an OpenVINO .xml file; null: none"
    ]
    views: Annotated[int, Count, "pictures of each crop that the teacher embeds: the crop itself, then changed ones"]
    cache: Annotated[
        str | None, "folder for the teacher's embeddings, which later runs reuse; null: computed in every run"
    ]
    cosine: Annotated[float, Weight, "weight of 1 - cosine of the projected embedding and the teacher's"]
    relation: Annotated[float, Weight, "weight of the squared difference of the batch's similarity matrices"]
    teacher_size: Annotated[
        tuple[int, int] | None, Side, "input size (height, width) of an ONNX or OpenVINO teacher; null: the file has it"
    ]
    teacher_color: Annotated[str, OneOf(("rgb", "bgr")), "channel order of the teacher's input"]
    teacher_mean: Annotated[
        tuple[float, float, float], "mean of each channel in RGB order, for pixel values from 0 to 1"
    ]
    teacher_std: Annotated[
        tuple[float, float, float], Positive, "the same for the standard deviation; 1/255 for 0 to 255"
    ]


@dataclass(frozen=True, kw_only=True)
class TrackingMetric:
    """The video that is tracked at validation, which gives `val/idf1` and `val/hota`."""

    video: Annotated[str | None, "video file or folder of frames to track; null: none"]
    detections: Annotated[str | None, "det.txt of that video, with scores from 0 to 1"]
    ground_truth: Annotated[str | None, "gt.txt of that video"]
    scale: Annotated[
        float, Positive, "size of the video relative to those two files; 0.5 for a video of half their width"
    ]
    every_n_epochs: Annotated[int, Count, "track in epochs that are a multiple of this, and in the last one"]
    preset: Annotated[str, OneOf(USE_EMBEDDINGS), "the tracker"]


@dataclass(frozen=True, kw_only=True)
class Optim:
    """How the weights move."""

    name: Annotated[str, OneOf(("adam", "adamw", "sgd")), "optimiser"]
    lr: Annotated[float, Positive, "learning rate after the warm-up"]
    weight_decay: Annotated[float, Weight, "weight decay"]
    no_decay_norm_and_bias: Annotated[bool, "no weight decay for norms and biases"]
    bias_lr_factor: Annotated[float, Positive, "learning rate of biases, relative to lr"]
    betas: Annotated[tuple[float, float], Share, "decay of Adam's two moments"]
    amsgrad: Annotated[bool, "use the AMSGrad variant of Adam and AdamW"]
    fused: Annotated[
        bool | None,
        "use the fused optimiser step; null: yes, except with gradient clipping, where Lightning forbids it",
    ]
    momentum: Annotated[float, Share, "momentum of SGD"]
    nesterov: Annotated[bool, "use Nesterov momentum in SGD"]
    schedule: Annotated[
        str,
        OneOf(("constant", "step", "multistep", "cosine", "linear")),
        "course of the learning rate after the warm-up",
    ]
    per: Annotated[str, OneOf(("epoch", "step")), "whether the learning rate changes every epoch or every step"]
    count_from: Annotated[int, Between(0, 1), "number that the recipe gives to its first epoch"]
    warmup_epochs: Annotated[float, Weight, "epochs of linear warm-up"]
    warmup_factor: Annotated[float, Share, "start of the warm-up, as a share of the learning rate"]
    milestones: Annotated[tuple[float, ...], Positive, "epochs at which the rate decays (multistep)"]
    step_epochs: Annotated[float, Positive, "epochs between two decays (step)"]
    gamma: Annotated[float, Share, "factor of each decay (step, multistep)"]
    flat_epochs: Annotated[
        float, Weight, "epoch at which the rate begins to fall, counted from the start (cosine, linear)"
    ]
    final_factor: Annotated[float, Share, "learning rate at the end, as a share of lr (cosine, linear)"]
    freeze_epochs: Annotated[float, Weight, "epochs at the start in which the backbone is frozen"]
    ema: Annotated[
        float | None,
        Between(0, 0.999999),
        "decay of the moving average of the weights, which is then scored and exported; null: no average",
    ]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How the machine is used, where Lightning's Trainer has no say."""

    compile: Annotated[bool, "compile the network with torch.compile; meant for a GPU, slower on a CPU"]
    compile_mode: Annotated[
        str,
        OneOf(("default", "reduce-overhead", "max-autotune")),
        "mode of torch.compile; reduce-overhead uses CUDA graphs",
    ]
    channels_last: Annotated[bool, "store images and kernels in channels-last order"]
    threads: Annotated[int | None, Count, "CPU threads of torch; null: torch's own choice"]
    keep_memory: Annotated[bool, "keep freed host memory for the next step; faster on a CPU (Linux only)"]


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """The keywords of `lightning.Trainer` that YAML can hold, under their own names and with their own meaning."""

    meaning = "as in lightning.Trainer"

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
    gradient_clip_val: Annotated[int | float | None, Weight]
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
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {name: value for name, value in values.items() if name not in newest or value is not None}


@dataclass(frozen=True, kw_only=True)
class Logger:
    """Where the curves go, in addition to the CSV file that is always written."""

    name: Annotated[
        tuple[str, ...],
        OneOf(("csv", "wandb", "tensorboard", "mlflow")),
        "logger of the curves, in addition to metrics.csv, or several as [wandb,tensorboard]",
    ]
    project: Annotated[str, "name of the project (W&B) or experiment (MLflow)"]
    entity: Annotated[str | None, "W&B account; null: the default one"]
    group: Annotated[str | None, "group of the run (W&B)"]
    tags: Annotated[tuple[str, ...], "tags of the run (W&B)"]
    notes: Annotated[str | None, "what is remarkable about the run (W&B)"]
    log_model: Annotated[bool, "store the exported model as an artifact with the aliases latest and best (W&B)"]
    uri: Annotated[str | None, "MLflow tracking address; null: a database in the folder of the run"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every setting of a training run, resolved and frozen."""

    run: Run
    model: Model
    data: Data
    synthetic: Synthetic
    augment: Augment
    progressive: Progressive
    loss: Loss
    distill: Distill
    tracking_metric: TrackingMetric
    optim: Optim
    engine: Engine
    trainer: Trainer
    logger: Logger


@dataclass(frozen=True, kw_only=True)
class FitCall:
    """What belongs to a call of `mot-reid fit`, not to its experiment."""

    ckpt: Annotated[str | None, "a checkpoint to resume from: last, a path, or auto (last if there is one)"]
