"""The layout: imports point one way, modules are short, and the loop that learners are shown stays small and plain."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import mnist_drill

PACKAGE = Path(mnist_drill.__file__).parent
TESTS = Path(__file__).parent
# What the notebooks teach, and what none of it may load.
TAUGHT = ("data", "augment", "networks", "recipes", "stages", "models", "runs", "train", "receptive_field")
NOT_LOADED = ("benchmark", "zoo", "cli", "course", "evidence", "inputs", "storage.checkpoint", "storage.resume",
              "storage.finished", "population")  # fmt: skip


def name_of(path):
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


def is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def import_statements(node, in_functions):
    """The imports in a statement that are carried out at run time; those in functions only if asked for."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
    elif in_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        for child in node.orelse if is_type_checking(node) else ast.iter_child_nodes(node):
            yield from import_statements(child, in_functions)


def imported(tree, in_functions=False):
    """The package's own modules that a module imports; `from folder import module` is an import of the module."""
    found = set()
    for statement in import_statements(tree, in_functions):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
            continue
        assert statement.level == 0, "imports name the whole path"
        for alias in statement.names:
            module = f"{statement.module}.{alias.name}"
            found.add(module if module in MODULES else statement.module)
    return found & MODULES.keys()


def graph(in_functions):
    return {name: imported(ast.parse(path.read_text()), in_functions) for name, path in MODULES.items()}


def circle(edges):
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def test_what_is_imported_is_found():
    tree = ast.parse(
        "from __future__ import annotations\n"
        "import mnist_drill.data\n"
        "from mnist_drill import models, __version__\n"
        "try:\n    from mnist_drill.train import fit\nexcept ImportError:\n    pass\n"
        "if TYPE_CHECKING:\n    from mnist_drill.runs import Run\nelse:\n    import mnist_drill.augment\n"
        "class A:\n    from mnist_drill.storage.files import read_json\n"
        "def late():\n    from mnist_drill.stages import STAGES\n"
    )
    top = {f"mnist_drill{x}" for x in ("", ".data", ".models", ".train", ".augment", ".storage.files")}
    assert imported(tree) == top
    assert imported(tree, in_functions=True) == top | {"mnist_drill.stages"}
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) is None
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"b"}})) == {"b", "c"}


@pytest.mark.parametrize("in_functions", [False, True], ids=["at the top", "in functions, too"])
def test_imports_go_round_in_no_circle(in_functions):
    edges = graph(in_functions)
    assert sum(map(len, edges.values())) > 50
    assert circle(edges) is None


def test_what_is_taught_loads_nothing_of_what_is_built_on_it():
    edges = graph(in_functions=False)
    loaded, waiting = set(), [f"mnist_drill.{name}" for name in TAUGHT]
    while waiting:
        module = waiting.pop()
        if module not in loaded:
            loaded.add(module)
            waiting += edges[module]
    others = tuple(f"mnist_drill.{name}" for name in NOT_LOADED)
    assert [name for name in sorted(loaded) if name.startswith(others)] == []


def test_no_module_is_long():
    limits = {path: 300 for folder in (PACKAGE, TESTS) for path in folder.rglob("*.py")}
    limits[PACKAGE / "train.py"] = 150
    long = {str(path): lines for path, limit in limits.items() if (lines := len(path.read_text().splitlines())) > limit}
    assert long == {}


def function(name):
    """A function of `train.py`: its source, and its lines without the docstring."""
    source = (PACKAGE / "train.py").read_text()
    (node,) = (x for x in ast.parse(source).body if isinstance(x, ast.FunctionDef) and x.name == name)
    docstring = node.body[0]
    assert ast.get_docstring(node)
    lines = source.splitlines()
    without = lines[node.lineno - 1 : docstring.lineno - 1] + lines[docstring.end_lineno : node.end_lineno]
    return ast.get_source_segment(source, node), [line for line in without if line.strip()]


@pytest.mark.parametrize(("name", "most"), [("train_epoch", 20), ("fit", 40)])
def test_the_loop_is_short_and_names_nothing_that_is_not_taught_yet(name, most):
    source, lines = function(name)
    assert len(lines) <= most
    untaught = r"autocast|bfloat16|precision|\bema|averag|resum|state|interrupt"
    assert re.findall(untaught, source, re.IGNORECASE) == []
