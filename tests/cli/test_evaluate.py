"""`tools/evaluate.py` from the command line to scores that are those of the training run."""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mot_reid.cli.evaluate import main
from mot_reid.data import splits
from mot_reid.data.images import decode_many
from mot_reid.evaluation import embed_files
from mot_reid.metrics.retrieval import evaluate_retrieval
from mot_reid.metrics.verification import similarities_between
from mot_reid.reid import checkpoint
from mot_reid.reid.embedder import Embedder
from tests.helpers.runs import small_config

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training run of seconds, with two persons held out."""
    from mot_reid.training.fit import fit

    folder = tmp_path_factory.mktemp("evaluate")
    people = ("synthetic.identities=12", "synthetic.test_identities=8", "synthetic.cameras=3")
    arguments = ("data.validation=0.3", "trainer.max_epochs=1", "optim.lr=1e-3", *people)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TQDM_DISABLE", "1")
        fit(small_config(folder / "people", folder / "run", *arguments))
    return folder / "run"


@pytest.fixture(scope="module")
def report(run: Path) -> str:
    path = run.parent / "report.html"
    code = main([f"checkpoint={run / 'model.safetensors'}", f"report={path}", "bootstrap=20", "device=cpu"])
    assert code == 0
    return path.read_text(encoding="utf-8")


def scores_of(run: Path, *arguments: str, name: str = "model.safetensors") -> dict[str, Any]:
    """What the tool writes about a model of the run."""
    path = run.parent / "scores.json"
    assert main([f"checkpoint={run / name}", f"json={path}", "device=cpu", *arguments]) == 0
    written: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return written


@pytest.mark.parametrize(("split", "stage"), [("test", "test"), ("validation", "val")])
def test_scores_are_those_of_the_training_run(run: Path, split: str, stage: str) -> None:
    """Fails when crops are resized otherwise, colours change places, or other persons are asked."""
    trained = checkpoint.describe(run / "model.safetensors")["provenance"]["scores"]
    found = scores_of(run, f"data.split={split}")
    names = {"mAP": "mean_ap", "rank1": "rank1", "rank5": "rank5", "rank10": "rank10", "mINP": "mean_inp"}
    for theirs, ours in names.items():
        assert found[ours] == pytest.approx(trained[f"{stage}/{theirs}"], abs=1e-6)
    assert 0.1 < found["mean_ap"] < 0.999
    assert found["data"]["split"] == split


def test_scores_of_a_lightning_checkpoint_are_those_of_the_exported_model(run: Path) -> None:
    best = scores_of(run, name="checkpoints/best.ckpt")
    assert best["mean_ap"] == pytest.approx(scores_of(run)["mean_ap"], abs=1e-6)


def test_scores_on_another_data_set_need_one_argument(run: Path, tmp_path: Path) -> None:
    other = splits.read(
        "synthetic",
        tmp_path / "other",
        drawing={"identities": 2, "test_identities": 6, "images_per_camera": 2, "seed": 7},
    )
    found = scores_of(run, f"--data.root={tmp_path / 'other'}")
    embedder = Embedder(run / "model.safetensors", device="cpu")
    query, gallery = (
        embedder.embed(decode_many(table.path, progress=False), color="rgb") for table in (other.query, other.gallery)
    )
    expected = evaluate_retrieval(
        query,
        gallery,
        query_person_id=other.query.person_id,
        gallery_person_id=other.gallery.person_id,
        query_camera_id=other.query.camera_id,
        gallery_camera_id=other.gallery.camera_id,
    )
    assert found["mean_ap"] == pytest.approx(expected.mean_ap, abs=1e-6)
    assert found["data"] | {"kind": "market1501", "queries": len(other.query)} == found["data"]


def folders_of(root: Path, people: Path) -> Path:
    """The test persons of a data set in the layout of Market-1501, in a folder each, with query and gallery in one."""
    for folder in ("query", "bounding_box_test"):
        for file in (people / folder).glob("[0-9]*"):
            (root / file.name[:4]).mkdir(parents=True, exist_ok=True)
            (root / file.name[:4] / file.name).write_bytes(file.read_bytes())
    return root


def test_table_of_models_and_data_sets_holds_what_each_pair_scores_alone(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of the data sets has one list only, all of which is asked."""
    own, listed = run.parent / "people", folders_of(tmp_path / "listed", run.parent / "people")
    models = [str(run / "model.safetensors"), "osnet_x0_25_market1501"]
    written = tmp_path / "table.json"
    pair = [f"checkpoint=[{','.join(models)}]", f"data.root=[{own},{listed}]"]
    assert main([*pair, f"json={written}", "bootstrap=20", "device=cpu"]) == 0
    table = json.loads(written.read_text(encoding="utf-8"))["table"]
    assert [(cell["data"]["root"], cell["model"]) for cell in table] == [
        (str(root), model) for root in (own, listed) for model in models
    ]
    assert [cell["data"]["split"] for cell in table] == ["test", "test", "train", "train"]
    alone = tmp_path / "alone.json"
    for cell in table:
        where = [f"data.root={cell['data']['root']}", f"data.split={cell['data']['split']}"]
        assert main([f"checkpoint={cell['model']}", *where, f"json={alone}", "bootstrap=20", "device=cpu"]) == 0
        found = json.loads(alone.read_text(encoding="utf-8"))
        assert {key: cell[key] for key in ("rank1", "mean_ap", "mean_inp", "intervals")} == {
            key: found[key] for key in ("rank1", "mean_ap", "mean_inp", "intervals")
        }
    printed = capsys.readouterr().out
    low, high = table[0]["intervals"]["rank1"]
    assert f"{100 * table[0]['rank1']:.1f} ({100 * low:.1f} - {100 * high:.1f})" in printed
    assert f"market1501 test ({own}): " in printed and f"folders train ({listed}): " in printed


def test_scores_on_the_persons_of_the_training_are_warned_of(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        scores_of(run, "bootstrap=0", f"data.root={run.parent / 'people'}")
        assert "data.split=train" not in caplog.text
        scores_of(run, "bootstrap=0", "data.split=train")
        scores_of(run, "bootstrap=0", "data.split=train", f"data.root={run.parent / 'people'}")
    assert caplog.text.count("its scores on them say nothing about others; use data.split=test") == 2


def test_scores_that_could_not_be_written_are_refused_before_any_work(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main([f"checkpoint={run / 'model.safetensors'}", f"json={tmp_path / 'file' / 'scores.json'}"]) == 2
    told = capsys.readouterr()
    assert re.fullmatch(r"json: got '.*/file/scores\.json' \(.*\); expected a folder to write to\n", told.err)
    assert told.out == ""


def test_json_holds_intervals_and_every_way_of_ranking(run: Path) -> None:
    found = scores_of(run, "rerank=true", "expand=2", "flip=true", "bootstrap=20")
    for scores in (found, found["expanded"], found["reranked"]):
        low, high = scores["intervals"]["mean_ap"]
        assert 0 < low <= scores["mean_ap"] <= high < 1
    assert found["settings"]["flip"] == "true"
    assert 0 < found["verification"]["equal_error_rate"] < 1


def test_json_has_no_intervals_when_not_asked(run: Path) -> None:
    found = scores_of(run, "bootstrap=0")
    assert "intervals" not in found and "reranked" not in found


def test_cache_gives_the_same_scores_and_spares_the_embedding(run: Path, monkeypatch, tmp_path: Path) -> None:
    first = scores_of(run, f"cache={tmp_path}")
    monkeypatch.setattr(embed_files, "embed_crops", None)
    assert scores_of(run, f"cache={tmp_path}") == first


def test_table_is_in_percent(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = scores_of(run)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  95%"))
    low, high = found["intervals"]["mean_ap"]
    assert f"{100 * low:.1f} - {100 * high:.1f}" in line


def test_report_has_all_sections(report: str) -> None:
    found = re.findall(r'<section id="(\w+)">', report)
    assert found == ["scores", "similarity", "cameras", "worst", "best", "evidence", "training", "provenance"]


def test_report_counts_the_pairs_and_shows_the_licence(run: Path, report: str) -> None:
    people = splits.read("market1501", run.parent / "people")
    rng = np.random.default_rng(0)
    pairs = similarities_between(
        rng.normal(size=(len(people.query), 2)),
        rng.normal(size=(len(people.gallery), 2)),
        query_person_id=people.query.person_id,
        gallery_person_id=people.gallery.person_id,
        query_camera_id=people.query.camera_id,
        gallery_camera_id=people.gallery.camera_id,
    )
    assert f"{pairs.genuine.sum():,} pairs of one person and {pairs.impostor.sum():,} pairs of two" in report
    assert "trained on synthetic people" in report


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chekpoint=x"], "no key 'chekpoint'; did you mean 'checkpoint'?"),
        ([], "command line: checkpoint is missing; add checkpoint=VALUE ("),
        (["checkpoint=/nowhere.safetensors"], "checkpoint: got '/nowhere.safetensors'; expected an existing file"),
        (["checkpoint={model}", "flip=maybe"], "flip: got 'maybe'; expected true or false"),
        (["checkpoint={model}", "bootstrap=-1"], "bootstrap: got -1; expected a number of at least 0"),
        (["checkpoint={model}", "batch_size=0"], "batch_size: got 0; expected a number of at least 1"),
        (
            ["checkpoint={model}", "metric=cosin"],
            "metric: got 'cosin'; expected one of cosine, euclidean",
        ),
        (["checkpoint={model}", "data=video"], "data.kind: got 'video'; expected one of auto, market1501, msmt17"),
        (["checkpoint={model}", "data=csv"], "data.root is missing"),
        (["checkpoint={model}", "data.root=/nowhere"], "data.root: got '/nowhere'; expected an existing folder or CSV"),
        (["checkpoint=[{model},person_small]"], "data.root is missing; expected data.root=PATH to score 2 models on"),
        (
            ["checkpoint={model}", "data.root=[{people},{people}/query]", "report=r.html"],
            "report: got 1 model(s) and 2 data sets; expected one of each",
        ),
        (
            ["checkpoint={model}", "data.root=[{people},{people}/query]"],
            "expected the folder that holds bounding_box_train, query",
        ),
        (["checkpoint={model}", "data.split=val"], "data.split: got 'val'; expected one of test, validation, train"),
        (
            ["checkpoint={model}", "data.validation=2"],
            "data.validation: got 2.0; expected a number of at least 0",
        ),
        (["checkpoint={model}", "device=tpu0"], "device: got 'tpu0'"),
        (["checkpoint={model}", "data=market1501", "data.root={people}"], "expected 12,936"),
    ],
)
def test_tool_exits_two_with_one_line(
    arguments: list[str], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [text.format(model=run / "model.safetensors", people=run.parent / "people") for text in arguments]
    assert main(given) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_tool_needs_no_lightning(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All modules of ours are imported anew, where Lightning and TorchMetrics cannot be."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "mot_reid"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("lightning", "torchmetrics"):
        monkeypatch.setitem(sys.modules, name, None)
    again = import_module("mot_reid.cli.evaluate").main
    assert again is not main
    assert again([f"checkpoint={run / 'model.safetensors'}", "bootstrap=0", "device=cpu"]) == 0
    with pytest.raises(ImportError, match="lightning"):
        import_module("mot_reid.training.fit")
    for name in [name for name in sys.modules if name.partition(".")[0] == "mot_reid"]:
        del sys.modules[name]  # the old ones come back
