"""Lightning callbacks of the user, named by where Python finds them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from lightning import Callback


def own_callbacks(paths: Sequence[str]) -> list[Callback]:
    """Returns one object of each class, made without arguments.

    Args:
        paths: Import paths of subclasses of `lightning.Callback`, such as "my_package.callbacks.Beep".

    Raises:
        ValueError: There is no such class, it is no callback, it cannot be made without arguments, or its code fails.
    """
    return [_made(path) for path in paths]


def _made(path: str) -> Callback:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
        if not (isinstance(found, type) and issubclass(found, Callback)):
            raise TypeError("it is no subclass of lightning.Callback")
        return found()
    except Exception as error:  # whatever the user's code raises
        raise ValueError(
            f"run.callbacks: got '{path}' ({type(error).__name__}: {error}); expected the import path of a "
            "lightning.Callback that needs no arguments, as package.module.Class; is its folder in PYTHONPATH?"
        ) from None
