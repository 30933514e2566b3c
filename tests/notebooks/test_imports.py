"""What notebook 1 loads: nothing that a learner meets later, or never."""

import ast
import subprocess
import sys
from importlib.util import find_spec

from mnist_drill.course.notebooks import ROOT
from tests.notebooks.books import FIRST, parsed

# The parts of the package that notebook 1 has no use for.
UNUSED = ("benchmark", "zoo", "storage.checkpoint", "storage.resume", "storage.finished", "cli", "cli.tracking")


def test_notebook_1_loads_no_benchmark_zoo_checkpoint_resuming_tracking_or_command():
    names = [f"mnist_drill.{part}" for part in UNUSED]
    assert all(map(find_spec, names))  # a module that was renamed would be missed
    _, imports = (cell.source for cell in FIRST.code if any(map(is_import, parsed(cell).body)))
    code = f"import sys\n{imports}\nprint(*sys.modules, sep='\\n')"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "mnist_drill.train" in loaded
    assert not [name for name in loaded if any(name == unused or name.startswith(f"{unused}.") for unused in names)]


def is_import(statement):
    return isinstance(statement, ast.Import | ast.ImportFrom)
