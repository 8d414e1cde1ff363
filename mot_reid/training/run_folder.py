"""The folder of a run: one run at a time in it, nothing left of killed ones, an earlier run put aside."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

from mot_reid.files import locked, remove_partial, writing
from mot_reid.settings.load import AnyConfig, save_config
from mot_reid.training.host import is_first_process

log = logging.getLogger(__name__)

LOG_NAME = "fit.log"
_WRITTEN_FIRST = {"config.yaml", LOG_NAME}
"""What is in a folder of a run that failed before it had anything to show."""
_SLURM = re.compile(r"hpc_ckpt_(\d+)\.ckpt")


@contextmanager
def own_folder(config: AnyConfig) -> Iterator[None]:
    """Keeps other runs out of the run's folder until the block ends or the process dies; tidies up after killed ones.

    Args:
        config: Of the run; its folder need not be there yet.

    Raises:
        ValueError: Another run is in it.
    """
    if not is_first_process():
        yield
        return
    folder = Path(config.run.dir)
    place = folder.resolve()
    with ExitStack() as stack:
        stack.callback(_remove_empty, [parent for parent in place.parents if not parent.exists()])
        try:
            stack.enter_context(locked(place.with_name(f".{place.name}.lock")))
        except BlockingIOError:
            raise ValueError(
                f"run.dir: got '{folder}', which another run is using; expected a folder of its own; wait for "
                "that run, or set another run.dir or run.name"
            ) from None
        for part in (folder, folder / "checkpoints"):
            remove_partial(part)
        _rename_checkpoints_of_slurm(Path(config.trainer.default_root_dir or folder))
        yield


@contextmanager
def opened(config: AnyConfig, *, keep: bool) -> Iterator[None]:
    """Makes the run's folder and writes its configuration; an earlier run there moves aside, unless it goes on.

    A run that fails before it has anything to show, by a mistake in a setting for example, leaves nothing behind, and
    gives an earlier one its place back.

    Args:
        config: Of the run.
        keep: Whether an earlier run in the folder goes on.
    """
    if not is_first_process():
        yield
        return
    folder = Path(config.run.dir)
    aside = None if keep else _moved_aside(folder)
    before = {path.name for path in folder.iterdir()} if folder.is_dir() else None
    save_config(config, folder / "config.yaml")
    try:
        yield
    except Exception:
        made = {path.name for path in folder.iterdir()} - (before or set())
        if made <= _WRITTEN_FIRST:
            for name in made:
                (folder / name).unlink()
            if before is None:
                folder.rmdir()
        if aside is not None and not folder.exists():
            aside.rename(folder)
            log.warning("%s: nothing was trained; the earlier run is back", folder)
        raise


def _moved_aside(folder: Path) -> Path | None:
    """Renames a folder that holds an earlier run; returns where it is now, None where there was none."""
    if not (folder / "config.yaml").exists():
        return None
    names = (folder.with_name(f"{folder.name}~{number}") for number in count(1))
    aside = next(path for path in names if not path.exists())
    with writing(folder):
        folder.rename(aside)
    log.warning("%s: an earlier run was there; it is now in %s", folder, aside)
    return aside


def _remove_empty(folders: list[Path]) -> None:
    """Removes folders that are empty, the innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _rename_checkpoints_of_slurm(folder: Path) -> None:
    """Takes their names from checkpoints of Lightning's own for Slurm, which it loads wherever it finds them."""
    for path in sorted(folder.glob("hpc_ckpt_*")):
        found = _SLURM.fullmatch(path.name)
        if found:
            other = path.rename(path.with_name(f"slurm_{found[1]}.ckpt"))
            log.warning(
                "%s: Lightning wrote it for Slurm; it is now %s; go on from it with ckpt=%s", path, other, other
            )
