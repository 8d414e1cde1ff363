"""The house rules that can be read off the source: import directions, laziness, names, docstrings."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from mot_reid.settings.load import ROOT

PACKAGE = ROOT / "mot_reid"
MODULES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "util", "misc", "common", "helpers", "const", "constants", "base"}


@dataclass(frozen=True)
class Room:
    """What the modules of a room may import.

    Attributes:
        package: other rooms of the package.
        top: third-party packages at module level.
        lazy: further ones inside functions, for those who need them only.
    """

    package: frozenset[str]
    top: frozenset[str]
    lazy: frozenset[str]


def room(package: str = "", *, top: str = "", lazy: str = "") -> Room:
    return Room(frozenset(package.split()), frozenset(top.split()), frozenset(lazy.split()))


# DESIGN's table. A room may always import itself.
TABLE = {
    "arrays": room(top="numpy"),
    "boxes": room("arrays", top="numpy"),
    "structures": room("extras arrays boxes", top="numpy", lazy="pandas supervision"),
    "files": room(),
    "extras": room(),
    "names": room(),
    "environment": room(),
    "version": room(),
    "settings": room("files names", lazy="omegaconf"),
    # Calls every other room; nobody uses it.
    "cli": room(
        "actions arrays boxes environment extras files names version settings structures data metrics tracking reid "
        "detection viewing training pipeline linking evaluation adaptation serving benchmark refinement",
        lazy="tqdm lightning torch numpy ultralytics uvicorn",
    ),
    "data": room("extras arrays boxes names structures files", top="numpy PIL", lazy="cv2 av tqdm pandas"),
    "actions": room("arrays names structures data reid", top="numpy torch torchvision"),
    "linking": room("arrays structures", top="numpy scipy"),
    "metrics": room("extras arrays boxes structures", top="numpy scipy", lazy="pandas faiss"),
    "detection": room(
        "extras arrays boxes structures files data", top="numpy", lazy="ultralytics openvino onnxruntime cv2"
    ),
    "tracking": room("arrays boxes names structures settings", top="numpy scipy", lazy="cv2"),
    "refinement": room("arrays boxes names structures settings", top="numpy scipy"),
    "reid": room(
        "extras arrays boxes names structures files",
        top="numpy torch timm safetensors",
        lazy="onnx onnxruntime onnxscript openvino tensorrt tqdm PIL huggingface_hub",
    ),
    "training": room(
        "extras actions arrays names structures files data reid metrics settings viewing",
        top="numpy torch torchvision torchmetrics lightning",
        lazy="wandb tqdm",
    ),
    "evaluation": room(
        "extras settings arrays boxes structures files data metrics reid refinement tracking viewing",
        top="numpy torch",
        lazy="tqdm optuna",
    ),
    "pipeline": room(
        "actions extras arrays boxes files settings structures data detection linking tracking refinement viewing",
        top="numpy",
        lazy="tqdm ray pandas cv2",
    ),
    "adaptation": room("arrays structures version metrics tracking reid pipeline", top="numpy torch"),
    # Measures the others, so it may use them all; nobody uses it.
    "benchmark": room(
        "settings arrays boxes data detection metrics reid tracking training pipeline",
        top="numpy scipy torch lightning PIL",
        lazy="onnxruntime onnxscript faiss",
    ),
    "viewing": room(
        "extras arrays boxes structures files metrics", top="numpy jinja2 markupsafe", lazy="cv2 matplotlib"
    ),
    "serving": room(
        "arrays environment extras files linking settings structures data detection reid tracking pipeline viewing",
        top="numpy markupsafe fastapi pydantic python_multipart prometheus_client",
        lazy="gradio uvicorn cv2 psycopg procrastinate",
    ),
}

# The folders inside of serving, and the modules beside them: what each may import of the others. Nothing of it knows
# HTTP but `http`, and nothing knows the demo.
SERVING = {
    "refusal": "",
    "content": "",
    "folder": "",
    "logs": "refusal",
    "prometheus": "",
    "database": "",
    "sqlite": "refusal",
    "postgres": "refusal",
    "galleries": "database folder postgres refusal sqlite",
    "looks": "",
    "weights": "",
    "worker": "content logs looks refusal weights",
    "jobs": "content database folder looks postgres prometheus refusal sqlite worker",
    "sweeper": "refusal",
    "sites": "refusal",
    "site_people": "galleries jobs refusal sites weights",
    "live": "folder prometheus refusal sites worker",
    "service": "folder galleries jobs live prometheus refusal site_people sites sweeper weights worker",
    "http": "content folder galleries jobs live prometheus refusal service site_people worker",
    "demo": "folder galleries http jobs refusal service",
}

# Imports against the table, inside functions or for type checkers only: (module that imports, what it imports).
LAZY_EDGES = {
    ("structures", "data.tables"),  # TrackTable.save and load
    ("tracking.embed_on_demand", "reid.embedder"),  # Tracker(reid=...)
    ("training.tracking_metric", "tracking.tracker"),  # scores tracking at validation
    ("reid.pictures", "data.images"),  # pictures of people given as files
    ("pipeline.run", "reid.embedder"),  # for videos whose settings name a model
}


@dataclass(frozen=True)
class Import:
    """One imported name.

    Attributes:
        module: the module that imports, without the package's name.
        target: what it imports, dotted.
        lazy: whether it does so inside a function or for type checkers only.
        line: where.
    """

    module: str
    target: str
    lazy: bool
    line: int

    @property
    def ours(self) -> bool:
        return self.target.split(".")[0] == "mot_reid"

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}: {self.target}"


def name_of(path: Path) -> str:
    """The dotted name of a module without the package's; empty for the package itself."""
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    if parts == ["__main__"]:
        return "cli.__main__"  # starts what `cli` holds
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[Import]:
    """Every import of a module."""
    module = name_of(path)
    stack: list[tuple[ast.AST, bool]] = [(parsed(path), False)]
    while stack:
        node, lazy = stack.pop()
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name, lazy, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: relative import"
            yield from (Import(module, target, lazy, node.lineno) for target in _targets(node))
        inside = lazy or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or _type_checking(node)
        stack += [(child, inside) for child in ast.iter_child_nodes(node)]


def _targets(node: ast.ImportFrom) -> list[str]:
    """`from mot_reid.data import market1501` imports a module, `from mot_reid.boxes import iou` a name of one."""
    source = str(node.module)
    if source.split(".")[0] != "mot_reid":
        return [source]
    folder = PACKAGE.joinpath(*source.split(".")[1:])
    modules = [
        f"{source}.{a.name}" for a in node.names if (folder / f"{a.name}.py").is_file() or (folder / a.name).is_dir()
    ]
    return modules if len(modules) == len(node.names) else [source, *modules]


def _type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


IMPORTS = [found for path in MODULES if name_of(path) for found in imports(path)]


def test_every_module_lies_in_a_room() -> None:
    assert {name_of(path).split(".")[0] for path in MODULES} - {""} <= set(TABLE)


def test_rooms_import_each_other_only_as_the_table_says() -> None:
    against = []
    for found in (found for found in IMPORTS if found.ours and found.target != "mot_reid"):
        target = found.target.removeprefix("mot_reid.")
        here, there = found.module.split(".")[0], target.split(".")[0]
        allowed = there == here or there in TABLE[here].package
        if not allowed and not (found.lazy and (found.module, target) in LAZY_EDGES):
            against.append(str(found))
    assert against == []


def test_listed_lazy_edges_are_needed() -> None:
    there = {(found.module, found.target.removeprefix("mot_reid.")) for found in IMPORTS if found.lazy and found.ours}
    present = {name_of(path) for path in MODULES}
    assert {edge for edge in LAZY_EDGES - there if edge[0] in present} == set()


def test_serving_knows_http_and_the_demo_only_where_they_are() -> None:
    against, parts = [], set()
    for found in (found for found in IMPORTS if found.module.startswith("serving.")):
        here = found.module.split(".")[1]
        parts.add(here)
        target = found.target.removeprefix("mot_reid.").split(".")
        there = target[1] if target[0] == "serving" and len(target) > 1 else here
        if there != here and there not in SERVING[here].split():
            against.append(str(found))
    assert against == []
    assert parts | {"content"} == set(SERVING)


def test_demo_is_chosen_by_the_command_only() -> None:
    users = {found.module for found in IMPORTS if found.target.startswith("mot_reid.serving.demo")}
    assert {module for module in users if not module.startswith("serving.demo")} == {"cli.serve"}


def test_third_party_packages_are_those_of_the_table() -> None:
    against = []
    for found in (found for found in IMPORTS if not found.ours):
        package = found.target.split(".")[0]
        entry = TABLE[found.module.split(".")[0]]
        allowed = entry.top | entry.lazy if found.lazy else entry.top
        if package not in sys.stdlib_module_names and package not in allowed:
            against.append(str(found))
    assert against == []


@pytest.mark.parametrize("tool", sorted((ROOT / "tools").glob("*.py")), ids=lambda path: path.stem)
def test_tool_does_nothing_in_the_processes_that_it_starts(tool: Path) -> None:
    """A spawned process imports the program under another name; one that runs then would start itself again."""
    assert callable(runpy.run_path(str(tool), run_name="__mp_main__")["main"])


def test_package_itself_imports_the_standard_library_and_its_version_only() -> None:
    eager = {found.target for found in imports(PACKAGE / "__init__.py") if not found.lazy}
    assert {target.split(".")[0] for target in eager - {"mot_reid.version"}} <= sys.stdlib_module_names


def test_no_module_is_named_for_nothing() -> None:
    assert {path.stem for path in MODULES} & FORBIDDEN_NAMES == set()
    assert {path.name for path in PACKAGE.rglob("*") if path.is_dir()} & FORBIDDEN_NAMES == set()


# Laziness


def loaded_by(statement: str, *packages: str) -> list[str]:
    """Which of the packages a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*[name for name in {packages!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


HEAVY = (
    "numpy",
    "scipy",
    "pandas",
    "PIL",
    "cv2",
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "omegaconf",
    "ultralytics",
)


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import mot_reid; dir(mot_reid)", *HEAVY) == []


@pytest.mark.parametrize(
    ("name", "loaded"),
    [
        ("Detections", {"numpy"}),
        ("Tracks", {"numpy"}),
        ("TrackTable", {"numpy"}),
        ("Tracker", {"numpy", "scipy"}),
        ("fit", set()),
        ("evaluate_mot", {"numpy", "scipy"}),
        ("link", {"numpy", "scipy"}),
        ("evaluate_retrieval", {"numpy", "scipy"}),
    ],
)
def test_public_name_loads_only_what_it_needs(name: str, loaded: set[str]) -> None:
    assert set(loaded_by(f"from mot_reid import {name}", *HEAVY)) <= loaded


def test_every_public_name_is_found() -> None:
    import mot_reid

    missing = [name for name in mot_reid.__all__ if not callable(getattr(mot_reid, name))]
    assert missing == []


def test_public_names_for_type_checkers_are_those_at_run_time() -> None:
    import mot_reid

    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if _type_checking(node))
    declared = {
        alias.asname or alias.name: node.module
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert declared == mot_reid._HOME


# Docstrings


@dataclass(frozen=True)
class Documented:
    """A public function, method or class, and what it takes.

    Attributes:
        where: the module and the qualified name.
        doc: the docstring.
        parameters: the names it takes; of a class, those of `__init__` or its fields.
    """

    where: str
    doc: str | None
    parameters: tuple[str, ...]


def public(path: Path) -> Iterator[Documented]:
    """The public functions, classes and methods of a module."""
    for node in parsed(path).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield Documented(f"{name_of(path)}.{node.name}", ast.get_docstring(node), _parameters(node))
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield Documented(f"{name_of(path)}.{node.name}", ast.get_docstring(node), _fields(node))
            for method in (n for n in node.body if isinstance(n, ast.FunctionDef)):
                if method.name == "__init__" and ast.get_docstring(method) is None:
                    continue  # the class tells
                if method.name.startswith("_") and method.name not in ("__init__", "__call__"):
                    continue
                where = f"{name_of(path)}.{node.name}.{method.name}"
                yield Documented(where, ast.get_docstring(method), _parameters(method, method=True))


def _parameters(node: ast.FunctionDef, *, method: bool = False) -> tuple[str, ...]:
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    return tuple(a.arg for a in named if a is not None)[1 if method and not static else 0 :]


def _fields(node: ast.ClassDef) -> tuple[str, ...]:
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            return _parameters(method, method=True)
    annotated = [n for n in node.body if isinstance(n, ast.AnnAssign) and "ClassVar" not in ast.unparse(n.annotation)]
    return tuple(n.target.id for n in annotated if isinstance(n.target, ast.Name))


def section(doc: str, title: str) -> list[str]:
    """The names that a section of a Google docstring documents."""
    found = re.search(rf"^{title}:\n((?:    .*\n|\n)*)", f"{doc}\n", re.MULTILINE)
    lines = found[1].splitlines() if found else []
    entries = [re.match(r"    ([\w*, ]+?)(?: \([^)]*\))?:(?:\s|$)", line) for line in lines]
    return [name.strip(" *") for entry in entries if entry for name in entry[1].split(",")]


PUBLIC = [item for path in MODULES for item in public(path)]


def test_public_things_are_found_to_check() -> None:
    assert {"settings.load.load_config", "structures.Detections"} <= {item.where for item in PUBLIC}


def test_everything_public_has_a_docstring() -> None:
    inherited = ("forward", "setup", "state_dict", "load_state_dict")
    silent = [item.where for item in PUBLIC if not item.doc and item.where.rpartition(".")[2] not in inherited]
    assert silent == []


def test_documented_arguments_are_arguments_in_their_order() -> None:
    """Within the package a docstring may leave out what the signature says already."""
    wrong = []
    for item in PUBLIC:
        names = section(item.doc or "", "Args")
        if names != [name for name in item.parameters if name in names]:
            wrong.append(f"{item.where}: documents {names}, takes {list(item.parameters)}")
    assert wrong == []


def test_public_names_document_all_their_arguments() -> None:
    import mot_reid

    homes = [f"{home.removeprefix('mot_reid.')}.{name}" for name, home in mot_reid._HOME.items()]
    wrong = []
    for item in (item for item in PUBLIC if item.parameters and item.where in homes):
        names = section(item.doc or "", "Args") or section(item.doc or "", "Attributes")
        if tuple(names) != item.parameters:
            wrong.append(f"{item.where}: documents {names}, takes {list(item.parameters)}")
    assert wrong == []


def test_modules_have_docstrings() -> None:
    silent = [name_of(path) for path in MODULES if path.stat().st_size and not ast.get_docstring(parsed(path))]
    assert silent == []
