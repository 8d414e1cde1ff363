"""Training from Python: an experiment by name, with values of your own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mot_reid.settings.load import load_experiment

if TYPE_CHECKING:
    from mot_reid.training.fit import FitResult


def fit(
    experiment: str | Path, overrides: Mapping[str, object] | None = None, *, resume: str | None = None
) -> FitResult:
    """Trains a Re-ID model as an experiment says; the same as `mot-reid fit experiment=NAME key=value ...`.

    ```python
    result = mot_reid.fit("quickstart", {"optim.lr": 3e-3, "trainer.max_epochs": 12})
    print(result.scores["test/rank1"], result.model)
    ```

    Overrides are a mapping because keyword arguments cannot contain dots, as in `optim.lr`. A mistyped key is an error
    that suggests the nearest one.

    Args:
        experiment: name of an experiment, or path of a YAML file of your own.
        overrides: values by key, as on the command line: `{"optim.lr": 1e-3, "data": "folders"}`.
        resume: "last" or the path of a checkpoint to resume from; None starts a new run.

    Returns:
        The folder of the run, the exported model, and its scores as fractions.

    Raises:
        ConfigError: the experiment or a key is unknown, or a value is not valid.
        FileNotFoundError: data, weights or the checkpoint are missing.
        ValueError: a setting does not suit the data.
        FloatingPointError: the loss became infinite or undefined.
    """
    config = load_experiment(experiment, overrides)
    from mot_reid.training.fit import fit as run  # after the check: it imports torch

    return run(config, resume=resume)
