"""Takes a Re-ID model of another library: `mot-reid import source=FILE kind=torchreid`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mot_reid.cli.command import Command, Given, check_output
from mot_reid.settings.importing import ImportSettings
from mot_reid.settings.load import ConfigError

COMMAND = Command(
    "import",
    ImportSettings,
    usage="source=FILE kind=torchreid|fastreid|boxmot|timm [output=model.safetensors] [key=value ...]",
    about="""
Makes a model.safetensors of weights that torchreid, fast-reid, BoxMOT or timm wrote. It gives the embeddings of the
network it comes from, and has no threshold until `mot-reid adapt` finds one on your videos.""",
    examples=(
        "source=osnet_x1_0_msmt17.pth kind=torchreid",
        "source=market_bot_R50.pth kind=fastreid output=bot.safetensors",
        "source=weights.safetensors kind=timm backbone=mobilenetv2_100",
    ),
)


def main(argv: Sequence[str]) -> int:
    """Imports one file of weights; returns the exit code."""
    return COMMAND.run(_import, argv)


def _import(settings: ImportSettings, given: Given) -> None:
    """Writes the model, and prints what was recognised."""
    if Path(settings.output).suffix != ".safetensors":
        raise ConfigError(f"command line: output: got '{settings.output}'; expected a name ending in .safetensors")
    if Path(settings.output).resolve() == Path(settings.source).resolve():
        raise ConfigError(
            f"command line: output: got '{settings.output}', the source itself; expected another name, so that the "
            "weights are kept"
        )
    check_output("output", settings.output)
    from mot_reid.reid.imported import import_weights

    found = import_weights(
        settings.source,
        settings.output,
        kind=settings.kind,
        backbone=settings.backbone,
        height=settings.height,
        width=settings.width,
        pooling=settings.pooling,
        last_stride=settings.last_stride,
        licence=settings.licence,
    )
    print(f"{settings.output}: {found}")
