"""The house keeps its order: rooms import downwards, and no file or function grows beyond sight."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from root import ROOT

PACKAGE = ROOT / "evlayerseg_ros"
# Each imports only from itself and those before it.
ROOMS = (
    "errors", "interrupts", "surroundings", "events", "motion", "segmentation", "pipeline",
    "outputs", "recordings", "replay", "network", "simulation", "paper", "training", "evaluation",
    "bench", "node", "commands", "cli",
)  # fmt: skip
# replay/play.py gives packets to ROS, bench/ measures the node, training/report.py judges by the
# measures of evaluation. Each imports it where it runs.
ON_USE = {("replay", "node"), ("bench", "node"), ("training", "evaluation")}
# An old address of the Segmenter, for users' programs.
ALIAS = "inference"
LINES, FUNCTION_LINES = 300, 50


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def imported(path: Path) -> set[tuple[str, bool]]:
    """The rooms that a file imports, and whether it does when it is imported itself."""
    tree = tree_of(path)
    inner = {id(node) for outer in functions(tree) for node in ast.walk(outer)}
    checked = {  # for types only
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and ast.unparse(test.test) == "TYPE_CHECKING"
        for node in ast.walk(test)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in checked:
            continue
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            package, *rest = name.split(".")
            if package == "evlayerseg_ros" and rest and rest[0] in (*ROOMS, ALIAS):
                found.add((rest[0], id(node) not in inner))
    return found


def test_every_room_is_in_the_order():
    rooms = {room_of(path) for path in sources()} - {"__init__", ALIAS}
    assert rooms == set(ROOMS)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    room = room_of(path)
    if room in ("__init__", ALIAS):
        return
    for other, at_import in imported(path):
        assert other != ALIAS, "that alias is for users' programs"
        if (room, other) in ON_USE and not at_import:
            continue
        assert ROOMS.index(other) <= ROOMS.index(room), f"{room} imports {other}"


def test_only_the_node_imports_ros_and_only_its_rooms_import_torch():
    """A robot needs no torch; everything but the node runs without ROS."""
    ros = {"rclpy", "rcl_interfaces", "diagnostic_msgs", "sensor_msgs", "std_srvs"}
    torch_rooms = {"network", "paper", "training"}
    for path in sources():
        tree = tree_of(path)
        for node in tree.body:  # at import; a function may look whether they are there
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module.split(".")[0]]
            elif isinstance(node, ast.Import):
                names = [alias.name.split(".")[0] for alias in node.names]
            room = room_of(path)
            assert not (set(names) & ros and room != "node"), path
            assert not ("torch" in names and room not in torch_rooms), path


def test_no_file_is_too_long():
    lines = {str(p.relative_to(PACKAGE)): p.read_text().count("\n") for p in sources()}
    assert not {name: n for name, n in lines.items() if n > LINES}


def test_no_function_is_too_long():
    """Its docstring and signature apart; compiled loops cannot be cut without a cost."""
    long = {}
    for path in sources():
        for function in functions(tree_of(path)):
            compiled = any("njit" in ast.unparse(d) for d in function.decorator_list)
            body = function.body[1:] if ast.get_docstring(function) else function.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            if lines > FUNCTION_LINES and not compiled:
                long[f"{path.relative_to(PACKAGE)}: {function.name}"] = lines
    assert not long
