"""Models on the Hugging Face Hub: `hf://user/name[@revision]`, and the card that a published model carries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mot_reid.extras import missing

PREFIX = "hf://"
FILE = "model.safetensors"
_ADDRESS = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_NAMES = {"rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "mAP": "mAP", "mean_ap": "mAP", "mINP": "mINP"}


def download(address: str) -> Path:
    """Returns the local copy of a model on the Hub, downloaded where it is not there yet.

    Args:
        address: `hf://user/name`, or `hf://user/name@revision` with a branch, a tag or a commit.

    Raises:
        FileNotFoundError: there is no such model, or it is neither at hand nor to be had without a network.
        ValueError: the address has another form.
        ImportError: huggingface_hub is not installed.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ValueError(f"checkpoint: got '{address}'; expected hf://user/name or hf://user/name@revision")
    hub = _hub()
    try:
        return Path(hub.hf_hub_download(found["repo"], FILE, revision=found["revision"]))
    except hub.errors.LocalEntryNotFoundError:
        raise FileNotFoundError(
            f"checkpoint: got '{address}', which is not in the local cache, and the Hub cannot be reached; expected a "
            "network or an earlier download; check the connection and HF_HUB_OFFLINE"
        ) from None
    except (
        hub.errors.RepositoryNotFoundError,
        hub.errors.RevisionNotFoundError,
        hub.errors.EntryNotFoundError,
    ) as error:
        missing = type(error).__name__.removesuffix("Error").removesuffix("NotFound").lower()
        raise FileNotFoundError(
            f"checkpoint: got '{address}'; expected a model with a {FILE} that you may read (no such {missing}); check "
            "the name, or log in with hf auth login"
        ) from None
    except OSError as error:  # the connection, in the words of the library beneath
        raise FileNotFoundError(f"checkpoint: got '{address}', which cannot be had ({_first_line(error)})") from None


def publish(model: Path, repo: str, *, card: str, private: bool) -> str:
    """Uploads a model and its card in one commit, making the repository where it is missing; returns its address.

    Args:
        model: a `model.safetensors`.
        repo: `user/name`.
        card: the text of README.md.
        private: whether a repository that is made is private.

    Raises:
        ValueError: the name has another form.
        ImportError: huggingface_hub is not installed.
        OSError: the Hub cannot be reached, or refuses.
    """
    if _ADDRESS.fullmatch(PREFIX + repo) is None or "@" in repo:
        raise ValueError(f"repo: got '{repo}'; expected user/name")
    hub = _hub()
    api = hub.HfApi()
    files = {FILE: str(model), "README.md": card.encode()}
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        api.create_commit(
            repo,
            [hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in files.items()],
            commit_message="Publish a model of mot_reid",
        )
    except (OSError, hub.errors.LocalTokenNotFoundError) as error:
        raise OSError(f"repo: '{repo}' cannot be written ({_first_line(error)}); log in with hf auth login") from None
    return PREFIX + repo


def card_of(metadata: Mapping[str, Any], repo: str, *, scores: Mapping[str, Any] | None = None) -> str:
    """Returns the card of a model: what it is, its scores, its threshold, where it comes from, its licence.

    Args:
        metadata: what the model's file says of itself.
        repo: `user/name`.
        scores: those that `mot-reid evaluate json=` wrote, with intervals; None for those of training.
    """
    network, preprocess, origin = metadata["network"], metadata["preprocess"], metadata["provenance"]
    rows = {
        "network": f"{network['backbone']}, embeddings of {network['embedding_dim']} numbers",
        "input": f"{preprocess['height']} x {preprocess['width']} pixels, {preprocess['color'].upper()}",
        "trained on": origin.get("dataset", "unknown"),
        "experiment": f"{origin.get('experiment', 'unknown')}, seed {origin.get('seed', 'unknown')}",
        "code": origin.get("git", "unknown"),
        "licence": metadata["licence"],
    }
    described = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    parts = [
        "---\nlibrary_name: mot_reid\ntags: [person-re-identification, tracking]\nlicense: other\n"
        "license_name: see-below\n---",
        f"# {repo.partition('/')[2]}",
        "A person re-identification model of mot_reid: crops of people to vectors, close for one person.",
        f'```python\nfrom mot_reid import Embedder\n\nembedder = Embedder("{PREFIX}{repo}")\n```',
        f"| | |\n|---|---|\n{described}",
        f"## Scores\n\n{_scores(origin.get('scores') or {}, scores)}",
        f"## Threshold\n\n{_threshold(metadata['calibration'])}",
    ]
    return "\n\n".join(parts) + "\n"


def _scores(trained: Mapping[str, float], measured: Mapping[str, Any] | None) -> str:
    """Returns the scores as a table, in percent."""
    if measured is not None:
        intervals, data = measured.get("intervals") or {}, measured.get("data") or {}
        lines = [
            f"| {_NAMES[key]} | {100 * measured[key]:.1f} | {_range(intervals.get(key))} |"
            for key in ("rank1", "rank5", "rank10", "mean_ap")
            if key in measured
        ]
        title = f"On {data.get('kind', 'unknown data')}, {data.get('split', 'unknown part')}:\n\n"
        return f"{title}| | % | 95% interval |\n|---|---|---|\n" + "\n".join(lines)
    lines = [
        f"| {part}, {_NAMES.get(name, name)} | {100 * value:.1f} |"
        for part, _, name, value in ((*key.partition("/"), value) for key, value in trained.items())
    ]
    return "| | % |\n|---|---|\n" + "\n".join(lines) if lines else "None recorded."


def _range(interval: Any) -> str:
    return "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"


def _threshold(calibration: Mapping[str, Any] | None) -> str:
    """Returns what the calibrated threshold promises."""
    if calibration is None:
        return "Not calibrated."
    rates = ""
    if "false_match_rate" in calibration and "true_match_rate" in calibration:
        rates = (
            f": {100 * calibration['false_match_rate']:g}% of pairs of strangers and "
            f"{100 * calibration['true_match_rate']:.1f}% of pairs of one person are above it, on persons held out"
        )
    return f"Cosine similarity {calibration['threshold']:.3f}{rates}."


def _hub() -> Any:
    """Returns the library of the Hub."""
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError:
        raise missing("huggingface_hub", "hf://") from None
    return huggingface_hub


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(". ")
