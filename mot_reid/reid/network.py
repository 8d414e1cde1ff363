"""The Re-ID network: backbone, pooling, optional projection, neck and, while training, a classifier.

Reference: Luo et al., "Bag of Tricks and A Strong Baseline for Deep Person Re-identification", CVPRW 2019 (BNNeck, last
stride 1); Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019 (GeM).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mot_reid.reid.osnet import OSNet
from mot_reid.reid.pretrained import create_backbone


class NetworkOutput(NamedTuple):
    """What the network gives while training.

    Attributes:
        feature: (B, D) float32 before the neck, not normalised: for metric losses.
        embedding: (B, D) float32 after the neck, not normalised: what the classifier sees.
        logits: (B, C) float32, or None without a classifier.
    """

    feature: Tensor
    embedding: Tensor
    logits: Tensor | None


class _LaterConfig(TypedDict, total=False):
    """Choices that checkpoints name only where they were made, so that older releases read all others."""

    non_local: list[int]
    head: str
    max_pool: str
    input_norm: bool


class NetworkConfig(_LaterConfig):
    """What is needed to build the network again, as the checkpoint stores it."""

    backbone: str
    last_stride: int
    pooling: str
    neck: str
    embedding_dim: int
    projection: bool


class GeM(nn.Module):
    """Generalised-mean pooling with a learnable exponent: p = 1 is the average, p to infinity the maximum.

    Args:
        p: The exponent at the start.
        eps: Smaller activations count as this.
    """

    def __init__(self, *, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([p]))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, h, w) to (B, C), in float32 at any precision around it."""
        return x.float().clamp(min=self.eps).pow(self.p).mean(dim=(2, 3)).pow(1.0 / self.p)


class AveragePool(nn.Module):
    """Global average pooling in float32."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, h, w) to (B, C)."""
        return x.float().mean(dim=(2, 3))  # over two axes: OpenVINO is wrong for a mean over one before the neck


class InputNorm(nn.Module):
    """Normalises each image by its own mean and deviation of each colour, then scales and shifts by learned values.

    So the light and the white balance of a camera, which multiply a colour or add to it, change nothing that follows.
    Without it a quarter more red and less blue leaves a network of Market-1501 at chance; see `experiments/LOG.md`.

    Args:
        eps: Added to the variance, so that what is nearly one colour is not blown up into noise.

    Reference:
        Ulyanov et al., "Instance Normalization", arXiv 1607.08022; here of the pixels.
    """

    def __init__(self, *, eps: float = 1e-3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.bias = nn.Parameter(torch.zeros(3))
        self.eps = eps

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, 3, H, W) to (B, 3, H, W) of the same type, in float32 in between."""
        values = images.float()
        centred = values - values.mean(dim=(2, 3), keepdim=True)
        variance = centred.square().mean(dim=(2, 3), keepdim=True)
        scale = self.weight.float()[:, None, None] * torch.rsqrt(variance + self.eps)
        return (centred * scale + self.bias.float()[:, None, None]).to(images.dtype)


class BNNeck(nn.BatchNorm1d):
    """Batch normalisation whose scale is learned and whose shift stays zero (Luo et al., section 3.6)."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.bias.requires_grad_(False)


class ReIDNetwork(nn.Module):
    """Images to embeddings.

    In training mode a forward pass gives a `NetworkOutput`, in evaluation mode (B, D) float32 unit-length embeddings.

    Args:
        backbone: A timm model, one of `osnet.NAMES` or `short_mobilenet.NAME`.
        num_classes: Identities that the classifier tells apart; None for no classifier.
        pooling: "avg"; "gem", learnable from p = 3; or "token", the class token of a ViT. The first two leave a ViT's
            prefix tokens out.
        neck: "bnneck", or "none", with which the embedding is the feature itself.
        embedding_dim: D, reached by BN and a linear layer before the neck; None keeps the backbone's own dimension.
        last_stride: Stride of a ResNet's last stage: 1 doubles its feature map. Other backbones have no such stage.
        weights: "pretrained", "none" or a file, see `create_backbone`.
        image_size: Height and width in pixels of the images.
        drop_path: Stochastic depth rate in [0, 1).
        embedding: "after_neck" or "before_neck": what evaluation returns.
        non_local: Non-local blocks of each of a ResNet's four stages, see `non_local.add_non_local`; () for none.
        head: How `embedding_dim` is reached, a key of `HEADS`; those of other libraries are for their weights.
        max_pool: "padded", or "ceil", with which a ResNet's max pooling starts at the first pixel, as in fast-reid.
        input_norm: Each image is normalised by its own colours first, see `InputNorm`.

    Attributes:
        embedding_dim: D.

    Raises:
        ValueError: If a choice is unknown or the backbone does not offer it.
        FileNotFoundError: If `weights` names no file.
        RuntimeError: If the pretrained weights cannot be had.
    """

    def __init__(
        self,
        backbone: str,
        *,
        num_classes: int | None = None,
        pooling: str = "avg",
        neck: str = "bnneck",
        embedding_dim: int | None = None,
        last_stride: int = 1,
        weights: str = "pretrained",
        image_size: tuple[int, int] = (256, 128),
        drop_path: float = 0.0,
        embedding: str = "after_neck",
        non_local: Sequence[int] = (),
        head: str = "bn_linear",
        max_pool: str = "padded",
        input_norm: bool = False,
    ) -> None:
        super().__init__()
        _check_choice("head", head, tuple(HEADS))
        _check_choice("max_pool", max_pool, ("padded", "ceil"))
        _check_choice("pooling", pooling, ("avg", "gem", "token"))
        _check_choice("neck", neck, ("bnneck", "none"))
        _check_choice("embedding", embedding, ("after_neck", "before_neck"))
        _check_choice("last_stride", last_stride, (1, 2))
        self.input_norm: nn.Module = InputNorm() if input_norm else nn.Identity()
        self.backbone = create_backbone(
            backbone,
            weights=weights,
            image_size=image_size,
            drop_path=drop_path,
            non_local=non_local,
            input_norm=input_norm,
        )
        if last_stride == 1 and not isinstance(self.backbone, OSNet):
            _keep_resolution(self.backbone)
        if max_pool == "ceil":
            self.backbone.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.pooling = pooling
        self.pool = GeM() if pooling == "gem" else AveragePool()
        self.prefix_tokens = int(getattr(self.backbone, "num_prefix_tokens", 0))
        if pooling == "token" and not getattr(self.backbone, "has_class_token", self.prefix_tokens > 0):
            raise ValueError(f"pooling: got 'token'; expected 'avg' or 'gem', since '{backbone}' has no class token")
        self.channels_last = getattr(self.backbone, "output_fmt", "NCHW") == "NHWC"
        dim = int(self.backbone.num_features)  # type: ignore[arg-type]
        self.projection: nn.Module = nn.Identity() if embedding_dim is None else HEADS[head](dim, embedding_dim)
        self.embedding_dim = dim if embedding_dim is None else embedding_dim
        self.neck: nn.Module = BNNeck(self.embedding_dim) if neck == "bnneck" else nn.Identity()
        self.classifier = None if num_classes is None else _classifier(self.embedding_dim, num_classes)
        self.taken: Literal["after_neck", "before_neck"] = embedding  # type: ignore[assignment]
        self.config = NetworkConfig(
            backbone=backbone,
            last_stride=last_stride,
            pooling=pooling,
            neck=neck,
            embedding_dim=self.embedding_dim,
            projection=embedding_dim is not None,
        )
        if any(non_local):
            self.config["non_local"] = list(non_local)
        if head != "bn_linear":
            self.config["head"] = head
        if max_pool != "padded":
            self.config["max_pool"] = max_pool
        if input_norm:
            self.config["input_norm"] = True

    def forward(self, images: Tensor) -> NetworkOutput | Tensor:
        """Embeds (B, 3, H, W) normalised float images.

        Returns:
            A `NetworkOutput` in training mode, else the (B, D) float32 unit-length embedding.
        """
        pooled = self.pooled(self.feature_map(images))
        feature = _apply(self.projection, pooled).float()
        if not self.training and self.taken == "before_neck":
            return F.normalize(feature)
        embedding = _apply(self.neck, feature).float()
        if not self.training:
            return F.normalize(embedding)
        logits = None if self.classifier is None else _apply(self.classifier, embedding).float()
        return NetworkOutput(feature, embedding, logits)

    def feature_map(self, images: Tensor) -> Tensor:
        """Returns the backbone's (B, C, h, w) map, or a ViT's (B, N, C) tokens."""
        x = self.backbone.forward_features(self.input_norm(images))  # type: ignore[operator]
        return x.permute(0, 3, 1, 2) if self.channels_last and x.ndim == 4 else x

    def pooled(self, x: Tensor) -> Tensor:
        """Returns the (B, C) float32 summary of what `feature_map` gives."""
        if x.ndim == 4:
            return self.pool(x)
        if self.pooling == "token":
            return x[:, 0].float()
        return self.pool(x[:, self.prefix_tokens :].transpose(1, 2).unsqueeze(3))


def from_config(
    config: NetworkConfig, *, image_size: tuple[int, int] = (256, 128), embedding: str = "after_neck"
) -> ReIDNetwork:
    """Returns the network a `NetworkConfig` describes, with random weights and no classifier."""
    return ReIDNetwork(
        config["backbone"],
        pooling=config["pooling"],
        neck=config["neck"],
        embedding_dim=config["embedding_dim"] if config["projection"] else None,
        last_stride=config["last_stride"],
        weights="none",
        image_size=image_size,
        embedding=embedding,
        non_local=config.get("non_local", ()),
        head=config.get("head", "bn_linear"),
        max_pool=config.get("max_pool", "padded"),
        input_norm=config.get("input_norm", False),
    )


def _apply(module: nn.Module, values: Tensor) -> Tensor:
    """Returns what a module makes of values in the type of its weights, of which a network may have several types."""
    weight = next(module.parameters(), None)
    result: Tensor = module(values if weight is None else values.to(weight.dtype))
    return result


def synchronised(module: nn.Module) -> nn.Module:
    """Returns a module whose batch norms count the images of all processes, in place but for itself.

    torch's own conversion would lose the activation that timm puts into its `BatchNormAct2d`.
    """
    from timm.layers import convert_sync_batchnorm

    converted: nn.Module = convert_sync_batchnorm(module)
    return converted


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Raises ValueError unless the value is among the choices."""
    if value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name}: got {value!r}; expected one of {expected}")


def _projection(inputs: int, outputs: int) -> nn.Sequential:
    """Returns BN and a bias-free linear layer."""
    linear = nn.Linear(inputs, outputs, bias=False)
    nn.init.kaiming_normal_(linear.weight, mode="fan_out")
    return nn.Sequential(nn.BatchNorm1d(inputs), linear)


def _linear(inputs: int, outputs: int) -> nn.Sequential:
    """Returns a bias-free linear layer, as fast-reid reduces features."""
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False))


def _linear_bn_relu(inputs: int, outputs: int) -> nn.Sequential:
    """Returns a linear layer, BN and ReLU: the head of OSNet's paper and of torchreid."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU())


HEADS = {"bn_linear": _projection, "linear": _linear, "linear_bn_relu": _linear_bn_relu}
"""What reaches the embedding's dimension, by name."""


def _classifier(inputs: int, outputs: int) -> nn.Linear:
    """Returns the bias-free classifier, started at N(0, 0.001)."""
    linear = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(linear.weight, std=0.001)
    return linear


def first_stages(backbone: nn.Module, *, name: str) -> list[nn.Module]:
    """Returns the two stages whose feature maps are 4 to 16 times smaller than the image.

    Raises:
        ValueError: The backbone has none that are known.
    """
    from timm.models.efficientnet import EfficientNet
    from timm.models.resnet import ResNet

    kind: type[nn.Module]
    for kind, stages in ((OSNet, "stages.0 stages.1"), (ResNet, "layer1 layer2"), (EfficientNet, "blocks.1 blocks.2")):
        if isinstance(backbone, kind):
            return [backbone.get_submodule(stage) for stage in stages.split()]
    raise ValueError(
        f"augment.mixstyle: got it for '{name}'; expected an OSNet, a ResNet, a MobileNet or an EfficientNet; set "
        "augment.mixstyle=0"
    )


def _keep_resolution(backbone: nn.Module) -> None:
    """Sets every stride of a ResNet's last stage to 1 in place, without dilation; other backbones are left alone."""
    from timm.layers import BlurPool2d
    from timm.models.resnet import ResNet

    if not isinstance(backbone, ResNet):
        return
    for module in backbone.get_submodule("layer4").modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.stride = (1, 1)
        elif isinstance(module, nn.AvgPool2d) and module.stride in (2, (2, 2)):
            module.stride = 1
            if not module.padding:  # a padded one keeps the size as it is, one without must not average at all
                module.kernel_size = 1
        elif isinstance(module, BlurPool2d) and module.stride == 2:
            module.stride = 1
