"""The notebooks: as files, executed as in Colab on 500 digits, and under nbval with a false sentence in them."""

import ast
import copy
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from mnist_drill import data, pages
from mnist_drill.evidence import load_runs, load_study
from mnist_drill.models import STAGES, build
from mnist_drill.report import judge
from mnist_drill.train import ADAPTED, RECIPES

BOOKS = {book.path.stem: book for book in pages.every_notebook()}
# The network that each introduces.
NETWORK = {
    "01_setup": "stage1",
    "02_parameter_reduction": "stage2",
    "03_batchnorm_dropout": "stage3",
    "04_augmentation_scheduler": "stage4",
    "appendix_big_networks": "resnet18",
}
RECIPE = RECIPES | {"resnet18": ADAPTED.with_epochs(1)}
CODE = {stem: [cell for cell in book.read().cells if cell.cell_type == "code"] for stem, book in BOOKS.items()}
# With the package installed the bootstrap cell has nothing to do. CI does not install it.
INSTALLED = subprocess.run([sys.executable, "-c", "import mnist_drill"], cwd="/", capture_output=True).returncode == 0
every_notebook = pytest.mark.parametrize("stem", BOOKS)


def cell_with(cells, text):
    (found,) = [cell for cell in cells if text in cell.source]
    return found


def compared(cell):
    return "nbval-ignore-output" not in cell.metadata.get("tags", [])


def stored(stem):
    """The runs of the notebook's network and recipe over many seeds."""
    name = NETWORK[stem]
    return load_runs(name) if name in STAGES else load_study("freezing")[name]


def test_there_are_four_in_order_and_an_appendix():
    assert list(BOOKS) == list(NETWORK)


@every_notebook
def test_executed_from_top_to_bottom(stem):
    assert [cell.execution_count for cell in CODE[stem]] == list(range(1, len(CODE[stem]) + 1))
    assert not [output for cell in CODE[stem] for output in cell.outputs if output.output_type == "error"]
    assert not [output for cell in CODE[stem] for output in cell.outputs if output.get("name") == "stderr"]


@every_notebook
def test_small_and_free_of_machine_paths_and_widgets(stem):
    text = BOOKS[stem].path.read_text()
    assert len(text.encode()) < 1_000_000
    assert not re.search(r"/home/|/Users/|/root/|/tmp/|/work/|/usr/|site-packages|[A-Z]:\\\\", text)
    assert "widget" not in text


@every_notebook
def test_same_headings_and_bootstrap(stem):
    first = next(iter(BOOKS))
    headings = [
        re.match(r"#+ [^:]*", line).group()
        for cell in BOOKS[stem].read().cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if re.match(r"#{2,3} ", line)
    ]
    assert headings == [
        "## Imports, seed, data",
        "## Target",
        "## Idea",
        "## Network",
        "## What do you expect?",
        "## Training",
        "## Pictures",
        "## Target, result, analysis",
        "### Target",
        "### Result",
        "### Analysis",
        "## What this does not show, and what comes next",
        "## Exercises",
    ]
    assert CODE[stem][0].source == CODE[first][0].source


@every_notebook
def test_what_is_exact_is_compared(stem):
    texts = ["targets(TARGET)", "judge(TARGET, run, ", "judge(ANALYSIS, ", "summary(model)"]
    if NETWORK[stem] in STAGES:  # receptive fields are traced through a sequence of layers
        texts.append("layer_table(model)")
    for text in texts:
        cell = cell_with([c for c in CODE[stem] if "TRY" not in c.source], text.strip())
        assert compared(cell), text
        assert cell.outputs, text
    ignored = [cell for cell in CODE[stem] if not compared(cell)]
    assert all(re.search(r"plots\.|fit\(|Result|row\.|accuracy", cell.source) for cell in ignored)


@every_notebook
def test_what_is_compared_shows_no_picture(stem):
    # nbval leaves pictures out, so a compared cell that only draws would pass whatever it draws.
    outputs = [output for cell in CODE[stem] if compared(cell) for output in cell.outputs]
    assert not any("image/png" in output.get("data", {}) for output in outputs)


@every_notebook
def test_no_figure_is_typed_into_a_sentence(stem):
    """A measured figure, or a threshold, stands in a claim's numbers and not in its words or in the Markdown."""
    figure = re.compile(r"\d[.,]\d|\d\s*%|\d+ (?:points|seconds|minutes|parameters)")
    sentences = [
        re.sub(r"\{.*?\}", "", node.args[0].value)  # what is in braces is a number of the check
        for cell in CODE[stem]
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "claim"
    ]
    assert len(sentences) >= 8
    assert [sentence for sentence in sentences if figure.search(sentence)] == []

    markdown = [cell.source for cell in BOOKS[stem].read().cells if cell.cell_type == "markdown"]
    prose = "\n".join(line for text in markdown for line in text.splitlines() if not line.startswith("**Time.**"))
    typed = set(re.findall(r"\d[\d.,]*\d\s*%|\d+[.,]\d+|\d+ (?:points|seconds|minutes)", prose))
    # The target of the course and its budget; a rate to try in an exercise.
    assert typed <= {"99.4 %", "99.4", "10,000", "0.05", "0.1", "0.01"}


@every_notebook
def test_at_least_four_claims_in_the_analysis_and_every_verdict_holds(stem):
    for text, least in (("judge(TARGET, run, ", 3), ("judge(ANALYSIS, ", 4)):
        cell = cell_with([c for c in CODE[stem] if "TRY" not in c.source], text)
        verdicts = cell.outputs[0].data["text/plain"].splitlines()
        assert len(verdicts) >= least
        assert all(verdict.startswith("✓") for verdict in verdicts), verdicts


@every_notebook
def test_run_and_evidence_are_of_todays_recipe(stem):
    runs = [BOOKS[stem].run(), *stored(stem)]
    assert {run.name for run in runs} == {NETWORK[stem]}
    assert all(run.recipe == RECIPE[NETWORK[stem]] for run in runs)


def cells_without_training(stem):
    """The namespace and the code cells of a notebook, each with its last expression apart, its run taken as stored."""
    space = {"run": BOOKS[stem].run(), "much": load_runs("stage3_dropout_0.1")[0], "model": build(NETWORK[stem])}
    for cell in CODE[stem][1:]:
        body = ast.parse(cell.source).body
        if re.search(r"fit\(model|much = |TRY|plots\.|summary\(", cell.source):
            continue
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), stem, "exec"), space)
        yield space, cell, last


@every_notebook
def test_every_figure_follows_from_the_stored_runs(stem):
    """Tables and verdicts, made anew from the notebook's run and the evidence, are those that it shows."""
    compared = 0
    for space, cell, last in cells_without_training(stem):
        if last is not None and not re.search(r"\bmuch\b|print\(", cell.source):  # that run is in no file
            (shown,) = cell.outputs
            made = eval(compile(ast.Expression(last.value), stem, "eval"), space)
            assert made._repr_markdown_() == shown.data["text/markdown"]
            compared += 1
    assert compared >= 6


@every_notebook
def test_the_claims_hold_at_every_seed_of_the_evidence(stem):
    *_, (space, _, _) = cells_without_training(stem)
    compared_with = {
        "stage1": [],
        "stage2": ["stage1"],
        "stage3": ["stage2", "stage3_dropout_0.1"],
        "stage4": ["stage3"],
        "resnet18": ["stage4"],
    }
    others = [load_runs(name) for name in compared_with[NETWORK[stem]]]
    runs = stored(stem)
    assert runs
    for run, *rest in zip(runs, *(cycled(other, len(runs)) for other in others), strict=True):
        verdicts = [*judge(space["TARGET"], run).verdicts, *judge(space["ANALYSIS"], run, *rest).verdicts]
        assert not [verdict for verdict in verdicts if not verdict.startswith("✓")], f"seed {run.seed}"


def cycled(runs, count):
    return [runs[i % len(runs)] for i in range(count)]


def quick(stem, train="True"):
    """The notebook on 500 digits for one epoch, with its exercise tried."""
    content = copy.deepcopy(BOOKS[stem].read())
    place = next(i for i, cell in enumerate(content.cells) if "train, test = data.load()" in cell.source)
    smaller = "train, test, RECIPE = train[:500], test[:500], RECIPE.with_epochs(1)"
    content.cells.insert(place + 1, nbformat.v4.new_code_cell(smaller))
    for cell in content.cells:
        cell.source = cell.source.replace("TRY = False", f"TRY = {train}")
    return content


def execute(content, folder, environment):
    client = NotebookClient(content, timeout=300, coalesce_streams=True, resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment)
    return content


@pytest.fixture(scope="module")
def colab(mnist, tmp_path_factory):
    """What a kernel finds in Colab: a stand-in `google.colab`, and this repository as a clone to bring."""
    root = tmp_path_factory.mktemp("colab")
    (root / "stand-in" / "google" / "colab").mkdir(parents=True)
    (root / "stand-in" / "google" / "colab" / "__init__.py").touch()
    origin = root / "origin"
    shutil.copytree(pages.ROOT, origin, ignore=shutil.ignore_patterns("data", ".venv*", ".git", "build", "runs"))
    git = ["git", "-C", str(origin), "-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "a copy"], check=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COLAB_", "KMP_"))}
    environment.update(
        PYTHONPATH=str(root / "stand-in"),
        MNIST_DRILL_REPOSITORY=origin.as_uri(),
        MNIST_DRILL_DATA=str(data.data_folder().resolve()),
    )
    return environment


@pytest.fixture(scope="module")
def executed(colab, tmp_path_factory):
    """Each notebook executed once from an empty folder as in Colab, on 500 digits for one epoch."""
    done = {}

    def get(stem):
        if stem not in done:
            folder = tmp_path_factory.mktemp(stem)
            done[stem] = execute(quick(stem), folder, colab)
            assert INSTALLED or (folder / "mnist-drill" / "mnist_drill").is_dir()
        return done[stem]

    return get


@every_notebook
def test_runs_alone_from_an_empty_folder_as_in_colab(executed, stem):
    cells = [cell for cell in executed(stem).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    run = pages.run_in(executed(stem))
    assert (run.name, len(run.epochs)) == (NETWORK[stem], 1)


def test_a_weakened_recipe_turns_the_target_and_raises_nothing(executed):
    cells = [cell for cell in executed("04_augmentation_scheduler").cells if cell.cell_type == "code"]
    (cell,) = [cell for cell in cells if cell.source.startswith("judge(TARGET, run, ")]
    verdicts = cell.outputs[0].data["text/plain"].splitlines()
    assert [verdict[0] for verdict in verdicts] == ["✗", "✓", "✓"]


def nbval(content, folder, environment):
    path = folder / "notebook.ipynb"
    nbformat.write(content, path)
    options = [
        "--nbval",
        "--nbval-current-env",
        "-vv",
        "--color=no",
        "-p",
        "no:cacheprovider",
    ]  # -vv: the whole difference
    command = [sys.executable, "-m", "pytest", *options, path]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_nbval_is_green_and_a_false_sentence_turns_it_red(executed, colab, tmp_path):
    content = copy.deepcopy(executed("02_parameter_reduction"))
    for cell in content.cells:  # the exercise was tried; its figures are not compared
        cell.source = cell.source.replace("TRY = True", "TRY = False")
    green = nbval(content, tmp_path, colab)
    assert green.returncode == 0, green.stdout

    analysis = cell_with(content.cells, "judge(ANALYSIS, ")
    false = 'claim("It has more than {n:,} parameters", lambda run, before, n: run.parameters > n, n=50_000),'
    analysis.source = analysis.source.replace("ANALYSIS = [", f"ANALYSIS = [\n    {false}")
    for output in analysis.outputs:  # as if somebody had written the sentence without running it
        for kind, text in output.data.items():
            start = "- " if kind == "text/markdown" else ""
            output.data[kind] = f"{start}✓ It has more than 50,000 parameters\n{text}"
    red = nbval(content, tmp_path, colab)
    assert red.returncode == 1
    assert "✗ It has more than 50,000 parameters" in red.stdout
    assert "1 failed" in red.stdout


def without_address(source):
    """The bootstrap cell before `badges` filled in its constant."""
    return re.sub(r'^REPOSITORY = ".*?"', 'REPOSITORY = ""', source, flags=re.M)


def bootstrap(folder, environment, source=None):
    source = source or without_address(CODE["01_setup"][0].source)
    code = f"{source}\nimport mnist_drill\nprint(mnist_drill.__file__)"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def uninstalled(colab):
    """The environment of Colab, where the package is not installed."""
    if INSTALLED:
        pytest.skip("the package is installed, so the bootstrap cell has nothing to do")
    return colab


def test_bootstrap_uses_the_constant_when_no_variable_is_set(uninstalled, tmp_path):
    address = uninstalled["MNIST_DRILL_REPOSITORY"]
    environment = {key: value for key, value in uninstalled.items() if key != "MNIST_DRILL_REPOSITORY"}
    source = without_address(CODE["01_setup"][0].source).replace('REPOSITORY = ""', f'REPOSITORY = "{address}"')
    assert "mnist-drill" in bootstrap(tmp_path, environment, source).stdout


def test_bootstrap_uses_the_address_that_colab_opened_the_notebook_from(uninstalled, tmp_path):
    page = "https://github.com/owner/repo/blob/main/notebooks/01_setup.ipynb"
    sessions = [{"name": "01_setup.ipynb", "path": f"fileId={urllib.parse.quote(page, safe='')}"}]

    class Colab(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/api/sessions" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(sessions).encode())

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Colab)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        **uninstalled,
        "COLAB_JUPYTER_IP": "127.0.0.1",
        "KMP_TARGET_PORT": str(server.server_port),
        # git fetches the address that the cell found from the copy on this machine
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{uninstalled['MNIST_DRILL_REPOSITORY']}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/owner/repo",
    }
    del environment["MNIST_DRILL_REPOSITORY"]
    run = bootstrap(tmp_path, environment)
    server.shutdown()
    assert "mnist-drill" in run.stdout, run.stderr


def test_bootstrap_without_an_address_says_what_to_fill_in(uninstalled, tmp_path):
    environment = {key: value for key, value in uninstalled.items() if key != "MNIST_DRILL_REPOSITORY"}
    run = bootstrap(tmp_path, environment)
    assert run.returncode != 0
    assert "REPOSITORY" in run.stderr
    assert "Traceback" not in run.stderr


def test_bootstrap_outside_colab_and_clone_says_so(uninstalled, tmp_path):
    run = bootstrap(tmp_path, {key: value for key, value in uninstalled.items() if key != "PYTHONPATH"})
    assert run.returncode != 0
    assert "open this notebook in a clone" in run.stderr
    assert "Traceback" not in run.stderr
    assert not list(tmp_path.iterdir())


def test_bootstrap_in_a_clone_changes_nothing_but_the_path(mnist):
    run = bootstrap(pages.ROOT / "notebooks", dict(os.environ))
    assert Path(run.stdout.strip()).parents[1] == pages.ROOT
