"""What is rendered into the README and the notebooks: results, times, and the badges that open them in Colab."""

import math
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import nbformat

from mnist_drill import bench, compare, evidence
from mnist_drill.errors import DrillError
from mnist_drill.evidence import load_runs
from mnist_drill.files import write_atomically
from mnist_drill.models import NETWORKS
from mnist_drill.report import RUN_MIME, Table, percent, spread_table
from mnist_drill.train import Run

ROOT = Path(__file__).resolve().parents[1]

# Best train and best test accuracy of the four-step drill that the course stands on: single runs, the best epoch picked
# on the test set.
PUBLISHED = {"stage1": (99.88, 99.14), "stage2": (98.44, 98.53), "stage3": (98.75, 99.24), "stage4": (99.08, 99.44)}

# Validation accuracy of the networks in an entry to the digit-recognizer competition.
PUBLISHED_ELEVEN = {
    "resnet18": 99.45, "resnet34": 99.50, "mobilenet_v2": 99.51, "mobilenet_v3_small": 98.15,
    "mobilenet_v3_large": 99.29, "squeezenet1_0": 99.33, "squeezenet1_1": 98.86, "efficientnet_b0": 99.35,
    "efficientnet_b3": 99.05, "mnasnet0_5": 78.82, "mnasnet1_0": 98.76,
}  # fmt: skip


@dataclass(frozen=True)
class Notebook:
    """A notebook of the course as it lies on the disk."""

    path: Path

    def read(self) -> nbformat.NotebookNode:
        try:
            return nbformat.read(self.path, as_version=4)
        except (OSError, ValueError, nbformat.ValidationError) as error:
            raise DrillError(f"{self.path} is not a notebook that can be read: {error}") from None

    def write(self, content: nbformat.NotebookNode) -> None:
        write_atomically(self.path, nbformat.writes(content) + "\n")

    def run(self) -> Run:
        """The run that the notebook shows as its result. Raises `DrillError` where it has none."""
        run = run_in(self.read())
        if run is None:
            raise DrillError(f"{self.path} holds no run: execute it first")
        return run

    def minutes(self) -> float:
        """Minutes from the start of the first cell to the end of the last, as recorded when it was executed."""
        times = [cell.metadata["execution"] for cell in self.read().cells if "execution" in cell.metadata]
        if not times:
            raise DrillError(f"{self.path} has no recorded times: execute it with the README's command")
        start, end = times[0]["iopub.execute_input"], times[-1]["shell.execute_reply"]
        return (datetime.fromisoformat(end[:19]) - datetime.fromisoformat(start[:19])).total_seconds() / 60


def run_in(content: nbformat.NotebookNode) -> Run | None:
    """The first run among the outputs of a notebook, where `report.Result` puts it."""
    for cell in content.cells:
        for output in cell.get("outputs", []):
            if RUN_MIME in output.get("data", {}):
                try:
                    return Run.from_dict(output["data"][RUN_MIME])
                except (KeyError, TypeError, ValueError) as error:
                    raise DrillError(f"a notebook's run is of another version ({error}): execute it again") from None
    return None


def notebooks(root: Path = ROOT) -> list[Notebook]:
    """The numbered notebooks, in order."""
    return [Notebook(path) for path in sorted((root / "notebooks").glob("0*.ipynb"))]


def every_notebook(root: Path = ROOT) -> list[Notebook]:
    """The numbered notebooks, then the appendices by name."""
    return notebooks(root) + [Notebook(path) for path in sorted((root / "notebooks").glob("appendix_*.ipynb"))]


def results_table(books: list[Notebook]) -> str:
    """A row for each notebook's run, the published figures beside it."""
    runs, minutes = [book.run() for book in books], [book.minutes() for book in books]
    rows = []
    for book, run, taken in zip(books, runs, minutes, strict=True):
        train, test = PUBLISHED.get(run.name, (math.nan, math.nan))
        rows.append(
            [f"[{book.path.stem}](notebooks/{book.path.name})", f"{run.parameters:,}", percent(run.best_train),
             percent(run.best_test), percent(run.last.test_accuracy), percent(run.lowest_of_last(5)), len(run.epochs),
             f"{taken:.1f}", percent(train), percent(test)]
        )  # fmt: skip
    header = ["notebook", "parameters", "best train", "best test", "last test", "lowest of last five", "epochs",
              "minutes", "published best train", "published best test"]  # fmt: skip
    return (
        f"{Table(header, rows).markdown()}\n\n"
        f"Accuracies in percent, one run each, seed {runs[-1].seed}. The four notebooks took {sum(minutes):.0f} "
        f"minutes on {_machine(runs[-1].environment)}."
    )


def seeds_table() -> str:
    """A row for each network: how its accuracies spread over the seeds of the evidence, and what is published."""
    table = spread_table({name: load_runs(name) for name in NETWORKS})
    published = [percent(PUBLISHED.get(row[0], (math.nan, math.nan))[1]) for row in table.rows]
    rows = [[*row, figure] for row, figure in zip(table.rows, published, strict=True)]
    return Table([*table.header, "published best epoch, one run"], rows).markdown()


def speed_tables() -> str:
    """The stored benchmark: epochs against the usual pipelines, time to accuracy, inference, memory."""
    path = evidence.FOLDER / "benchmark.json"
    report = bench.load_report(path)
    try:
        return "\n\n".join(
            [
                f"On {_machine(report['environment'])}. "
                "Seconds of an epoch, its test included: median (lowest to highest) of the rounds.",
                bench.epoch_table(report).markdown(),
                "What an epoch's arithmetic alone would take, at the rate of a large matrix product:",
                bench.limit_table(report).markdown(),
                "Seconds of training until a test accuracy is first reached:",
                bench.goals_table(report).markdown(),
                "Microseconds to read a digit of 28×28 pixels:",
                bench.inference_table(report).markdown(),
                bench.memory_line(report),
            ]
        )
    except KeyError as part:
        raise DrillError(f"{path} lacks {part}: `bench --out {path}` measures everything") from None


def comparison_table() -> str:
    """The stored comparison of the course's networks with torchvision's, and what is published for some of these."""
    comparison = compare.stored()
    table = compare.table(comparison)
    published = [percent(PUBLISHED_ELEVEN.get(row[0], math.nan)) for row in table.rows]
    rows = [[*row, figure] for row, figure in zip(table.rows, published, strict=True)]
    seed = comparison.runs[0].seed
    return (
        f"{Table([*table.header, 'published validation accuracy'], rows).markdown()}\n\n"
        f"Accuracies in percent, one run each, seed {seed}; on {_machine(comparison.environment)}."
    )


def render(root: Path = ROOT) -> None:
    """Writes the tables into the README, between the markers of each, and the times into the notebooks."""
    books = notebooks(root)
    readme = root / "README.md"
    write_atomically(readme, render_readme(readme.read_text(encoding="utf-8"), books))
    for book in every_notebook(root):
        content = book.read()
        content.cells[0].source = render_title(content.cells[0].source, book)
        book.write(content)


def render_title(title: str, book: Notebook) -> str:
    """The first cell of a notebook with the time that its execution took."""
    machine = book.run().environment
    time = f"**Time.** {book.minutes():.1f} minutes on {machine['hardware']}, {machine['threads']} threads."
    return re.sub(r"^\*\*Time\.\*\* .*$", time, title, flags=re.M)


def render_readme(text: str, books: list[Notebook]) -> str:
    """The README with its tables made anew."""
    tables = {"results": results_table(books), "seeds": seeds_table(), "comparison": comparison_table(),
              "speed": speed_tables()}  # fmt: skip
    for marker, content in tables.items():
        text = _between(text, marker, content)
    return text


def put_badges(repository: str, root: Path = ROOT) -> None:
    """Puts a badge into the README for each notebook and into each notebook, and the address into its bootstrap cell.

    `repository` is OWNER/REPO on GitHub; the branch is main. Can be repeated with another address. Raises `DrillError`
    for an address of another form.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise DrillError(f"{repository!r} is not a GitHub repository: write OWNER/REPO")
    lines = []
    for book in every_notebook(root):
        address = f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{book.path.name}"
        badge = f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"
        lines.append(f"- {book.path.stem}: {badge}")
        content = book.read()
        title, bootstrap = content.cells[0], next(cell for cell in content.cells if cell.cell_type == "code")
        title.source = f"{badge}\n\n" + re.sub(r"\A\[!\[Open in Colab.*\n+", "", title.source)
        bootstrap.source = re.sub(
            r'^REPOSITORY = ".*?"', f'REPOSITORY = "https://github.com/{repository}"', bootstrap.source, flags=re.M
        )
        book.write(content)
    readme = root / "README.md"
    write_atomically(readme, _between(readme.read_text(encoding="utf-8"), "badges", "\n".join(lines)))


def _machine(environment: dict[str, str | int]) -> str:
    return (
        f"{environment['hardware']}, {environment['threads']} threads, torch {environment['torch'].partition('+')[0]}"
    )


def _between(text: str, marker: str, content: str) -> str:
    """The text with what stands between the two comments of a marker replaced."""
    start, end = f"<!-- {marker} -->\n", f"<!-- /{marker} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise DrillError(f"README.md needs the lines {start.strip()} and {end}, once each")
    head, _, rest = text.partition(start)
    return f"{head}{start}{content}\n{end}{rest.partition(end)[2]}"
