"""Which extra brings a package that is not installed: one sentence with the command to type."""

from __future__ import annotations

from importlib.util import find_spec

EXTRAS = {
    "torch": "reid",
    "timm": "reid",
    "lightning": "train",
    "torchmetrics": "train",
    "wandb": "train",
    "jinja2": "report",
    "markupsafe": "report",
    "matplotlib": "report",
    "pandas": "report",
    "ultralytics": "yolo",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "openvino": "openvino",
    "optuna": "tune",
    "ray": "ray",
    "faiss": "faiss",
    "pyarrow": "parquet",
    "huggingface_hub": "hub",
    "mlflow": "mlflow",
    "sqlalchemy": "mlflow",
    "alembic": "mlflow",
    "fastapi": "serve",
    "uvicorn": "serve",
    "prometheus_client": "serve",
    "gradio": "serve",
    "av": "serve",
    "psycopg": "replicas",
    "procrastinate": "replicas",
}
"""The extra of each package, by the name under which it is imported."""


def install(extra: str) -> str:
    """Returns the command that installs an extra.

    Args:
        extra: its name in pyproject.toml.
    """
    return f'pip install "mot-reid[{extra}]"'


def missing(package: str, what: str, extra: str | None = None) -> ImportError:
    """Returns the error for a package that is not installed.

    Args:
        package: the name under which it is imported.
        what: what needs it, the start of the sentence.
        extra: that brings it and all else that is needed; None for that of `EXTRAS`.
    """
    return ModuleNotFoundError(f"{what}: {package} is not installed; {install(extra or EXTRAS[package])}", name=package)


def require(package: str, what: str, extra: str | None = None) -> None:
    """Refuses where a package is not installed, without loading it.

    Args:
        package: as in `missing`.
        what: as in `missing`.
        extra: as in `missing`.

    Raises:
        ImportError: it is not installed.
    """
    if find_spec(package) is None:
        raise missing(package, what, extra)


def explained(error: Exception, what: str) -> Exception:
    """Returns the sentence for Python's own "No module named ..." of a package of an extra; any other error as it is.

    Args:
        error: that was raised.
        what: as in `missing`.
    """
    package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if package in EXTRAS and str(error).startswith(("No module named", "import of")):
        return missing(package, what)
    return error
