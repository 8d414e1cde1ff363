"""Puts `configs/` and `experiments/` into the wheel; everything else is in pyproject.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

VALUES = ("configs", "experiments")


class BuildWithValues(build_py):
    """Copies the YAML files into the package; an editable install reads them where they are."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        here = Path(__file__).resolve().parent
        for name in VALUES:
            target = Path(self.build_lib) / "mot_reid" / name
            shutil.rmtree(target, ignore_errors=True)
            for file in sorted((here / name).rglob("*.yaml")):
                copy = target / file.relative_to(here / name)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)


setup(cmdclass={"build_py": BuildWithValues})
