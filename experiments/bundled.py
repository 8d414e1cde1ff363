"""What the bundled models are worth: the tables of README.md, as Markdown.

    python experiments/bundled.py MARKET1501 DATA WORK [models=a,b] [parts=scores,videos,onnx]

MARKET1501 is the data set, DATA holds MOT15/train and video. Crops, embeddings and figures are kept in WORK; those of a
model that has changed are made again. Each command that it runs is printed, to be run by itself.
`scores` are Rank-1, mAP and mINP on every data set, and what the threshold in the file does there; `videos` the
re-association; `onnx` how far ONNX Runtime agrees with torch on the crops of the videos, and the time for 20 crops.
"""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from mot_reid.cli.main import main as mot_reid
from mot_reid.data import synthetic_dataset
from mot_reid.data.image_files import find_images
from mot_reid.evaluation.cross_data import percent
from mot_reid.evaluation.embed_files import embed_crops
from mot_reid.reid import bundled, checkpoint
from mot_reid.reid.embedder import Embedder

VIDEOS = {"PETS09-S2L1": "pets09-s2l1.avi", "ADL-Rundle-6": "adl-rundle-6.mp4", "TUD-Campus": "tud-campus.mp4"}
LONG = ("PETS09-S2L1", "ADL-Rundle-6")
"""Those in which enough persons come again."""
PEOPLE = 20


def call(*words: str) -> None:
    """Runs a command of mot-reid, which is printed first.

    Raises:
        SystemExit: It failed.
    """
    print("$ mot-reid " + " ".join(shlex.quote(word) for word in words), file=sys.stderr, flush=True)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = mot_reid(words)
    if code:
        raise SystemExit(f"{said.getvalue()}\n{words[0]} ended with {code}")


def crops(data: Path, work: Path) -> list[Path]:
    """Returns the folders of crops of the videos and of synthetic people, made now where they are missing."""
    found = []
    for name, file in VIDEOS.items():
        folder = work / "crops" / name
        if not folder.is_dir():
            source, video = data / "MOT15" / "train" / name, data / "video" / file
            call(
                "prepare-mot17", f"source={source}", f"output={folder}", "crops=true", "train_share=0", f"video={video}"
            )
        found.append(folder)
    return [*found, synthetic_dataset.generate(work / "crops" / "synthetic", progress=False)]


def scores(models: list[str], market: Path, data: Path, work: Path) -> None:
    """Prints what each model is worth on each data set, and what its threshold does there."""
    roots = [market, *crops(data, work)]
    file = work / "scores.json"
    words = [f"checkpoint=[{','.join(models)}]", f"data.root=[{','.join(map(str, roots))}]", f"cache={work / 'cache'}"]
    call("evaluate", *words, "device=cpu", f"json={file}")
    table = json.loads(file.read_text())["table"]
    print("\n| data set | queries | model | Rank-1 | mAP | mINP |\n|---|---:|---|---|---|---|")
    for cell in table:
        told = [percent(cell[key], cell.get("intervals", {}).get(key)) for key in ("rank1", "mean_ap", "mean_inp")]
        name, queries = Path(cell["data"]["root"]).name, cell["data"]["queries"]
        print(f"| {name} | {queries:,} | `{cell['model']}` | {' | '.join(told)} |")
    print("\n| model | threshold | promised | " + " | ".join(root.name for root in roots) + " |")
    print("|---|---:|---:|" + "---:|" * len(roots))
    for model in models:
        told = [cell["verification"] for cell in table if cell["model"] == model]
        rates = [f"{100 * one['false_match_rate']:.2f} / {100 * one['true_match_rate']:.1f}" for one in told]
        promise = f"{100 * told[0]['promised_false_match_rate']:.2g} / {100 * told[0]['promised_true_match_rate']:.1f}"
        print(f"| `{model}` | {told[0]['threshold']:.3f} | {promise} | {' | '.join(rates)} |")


def videos(models: list[str], data: Path, work: Path) -> None:
    """Prints how well each model finds the tracklets of a person again."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in LONG:
        file = work / f"again-{name}.json"
        keys = {"ground_truth": data / "MOT15" / "train" / name, "video": data / "video" / VIDEOS[name]}
        words = [f"reassociation.{key}={value}" for key, value in keys.items()]
        call("evaluate", f"checkpoint=[{','.join(models)}]", *words, "device=cpu", f"json={file}")
        found[name] = json.loads(file.read_text())["reassociation"]
    heads = [
        f"{name}: {one[0]['queries']} tracklets of {one[0]['persons']} persons (guessing {100 * one[0]['chance']:.1f})"
        for name, one in found.items()
    ]
    print(f"\n| model | {' | '.join(heads)} |\n|---|" + "---|" * len(heads))
    for row in zip(*found.values()):
        print(f"| `{row[0]['model']}` | " + " | ".join(percent(one["rank1"], one["interval"]) for one in row) + " |")


def onnx(models: list[str], data: Path, work: Path) -> None:
    """Prints how far ONNX Runtime agrees with torch, and how long both take."""
    images = find_images([str(folder) for folder in crops(data, work)[: len(LONG)]], what="crops")
    print(
        f"\n| model | size | cosine to torch, least of {len(images):,} crops | torch, {PEOPLE} crops | ONNX Runtime |"
    )
    print("|---|---:|---:|---:|---:|")
    for model in models:
        exported, file = work / f"{Path(model).stem}.onnx", work / f"speed-{Path(model).stem}.json"
        call("export", f"checkpoint={model}", "format=onnx", f"output={exported}")
        one, other = (embed_crops(Embedder(path, device="cpu"), images) for path in (model, exported))
        call("benchmark", "what=embed", f"reid={model}", "device=cpu", f"json={file}")
        figures = json.loads(file.read_text())["figures"]
        times = [f"{figures[f'embed/{form}_{PEOPLE}']['value']:.1f} ms" for form in ("torch", "onnx")]
        size = checkpoint.find(model).stat().st_size / 1e6
        least = float(np.min(np.sum(one * other, axis=1)))
        print(f"| `{model}` | {size:.2f} MB | {least:.7f} | {' | '.join(times)} |", flush=True)


def main(argv: list[str]) -> None:
    """Prints the tables that are asked for."""
    given = dict(word.split("=", 1) for word in argv if "=" in word)
    market, data, work = (Path(word) for word in argv if "=" not in word)
    work.mkdir(parents=True, exist_ok=True)
    models = given["models"].split(",") if "models" in given else bundled.names()
    parts = given.get("parts", "scores,videos,onnx").split(",")
    if "scores" in parts:
        scores(models, market, data, work)
    if "videos" in parts:
        videos(models, data, work)
    if "onnx" in parts:
        onnx(models, data, work)


if __name__ == "__main__":
    main(sys.argv[1:])
