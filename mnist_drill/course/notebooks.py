"""The notebooks of the course as they lie on the disk: their runs and times, and the badges that open them in Colab."""

import json
import re
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import nbformat

from mnist_drill.course.markers import between
from mnist_drill.course.tables import RUN_MIME, threads
from mnist_drill.errors import DrillError
from mnist_drill.runs import Run
from mnist_drill.stages import STAGES
from mnist_drill.storage.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Notebook:
    """A notebook of the course as it lies on the disk."""

    path: Path

    def read(self) -> nbformat.NotebookNode:
        try:
            text = self.path.read_text(encoding="utf-8")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of cells without an id, which is no fault
                nbformat.validate(json.loads(text))  # reading alone only says on stderr what is wrong
                return nbformat.reads(text, as_version=4)
        except OSError as error:
            raise DrillError(f"cannot read {self.path}: {error.strerror}") from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, nbformat.ValidationError) as error:
            why = str(error).partition("\n")[0] or type(error).__name__
            raise DrillError(f"{self.path} is not a notebook that can be read: {why}") from None

    def write(self, content: nbformat.NotebookNode) -> None:
        write_atomically(self.path, nbformat.writes(content) + "\n")

    def run(self) -> Run:
        """The run that the notebook shows as its result. Raises `DrillError` where it has none."""
        run = run_in(self.read())
        if run is None:
            raise DrillError(f"{self.path} holds no run: execute it first")
        return run

    def title(self) -> str:
        """The notebook's first heading; empty where it has none."""
        heading = re.search(r"^# (.+)$", "\n".join(cell.source for cell in self.read().cells), re.M)
        return heading[1] if heading else ""

    def minutes(self) -> float:
        """Minutes from the start of the first cell to the end of the last, as recorded when it was executed."""
        times = [cell.metadata["execution"] for cell in self.read().cells if "execution" in cell.metadata]
        if not times:
            raise DrillError(f"{self.path} has no recorded times: execute it with the README's command")
        start, end = times[0]["iopub.execute_input"], times[-1]["shell.execute_reply"]
        return (datetime.fromisoformat(end[:19]) - datetime.fromisoformat(start[:19])).total_seconds() / 60


def run_in(content: nbformat.NotebookNode) -> Run | None:
    """The first run among the outputs of a notebook, where `tables.Result` puts it."""
    for cell in content.cells:
        for output in cell.get("outputs", []):
            if RUN_MIME in output.get("data", {}):
                try:
                    return Run.from_dict(output["data"][RUN_MIME])
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    raise DrillError(f"a notebook's run cannot be read ({error}): execute the notebook again") from None
    return None


def notebooks(root: Path = ROOT) -> list[Notebook]:
    """The notebooks of the stages, in order."""
    return [Notebook(root / "notebooks" / f"{stage.notebook}.ipynb") for stage in STAGES.values()]


def every_notebook(root: Path = ROOT) -> list[Notebook]:
    """The notebooks of the stages, then the appendices by name."""
    return notebooks(root) + [Notebook(path) for path in sorted((root / "notebooks").glob("appendix_*.ipynb"))]


def exercise_notebooks(root: Path = ROOT, parts: tuple[str, ...] = ("exercises", "solutions")) -> list[Notebook]:
    """The exercises, then their solutions, each by name; or one of the two."""
    return [Notebook(path) for part in parts for path in sorted((root / "notebooks" / part).glob("*.ipynb"))]


def opened_in_colab(root: Path = ROOT) -> list[Notebook]:
    """The notebooks that have a badge: those above, then the one for a network of the reader's own."""
    return [*every_notebook(root), Notebook(root / "notebooks" / "your_network.ipynb")]


def render_title(title: str, book: Notebook) -> str:
    """The first cell of a notebook with the time that its execution took."""
    machine = book.run().environment
    time = f"**Time.** {book.minutes():.1f} minutes on {machine['hardware']}, {threads(machine)}."
    return re.sub(r"^\*\*Time\.\*\* .*$", time, title, flags=re.M)


def without_pages(content: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook in which an output that has a picture has no HTML beside it: the form that is committed.

    What `inside` shows is a page and a still picture; GitHub and nbval use the picture.
    """
    for cell in content.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output["data"].pop("text/html", None)
    return content


def put_badges(repository: str, root: Path = ROOT) -> None:
    """Puts a badge into the README for each notebook and into each notebook, and the address into its bootstrap cell.

    The README has none for exercises and solutions. `repository` is OWNER/REPO on GitHub; the branch is main. Can be
    repeated with another address. Raises `DrillError` for an address of another form.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise DrillError(f"{repository!r} is not a GitHub repository: write OWNER/REPO")
    lines = []
    listed = opened_in_colab(root)
    for book in listed + exercise_notebooks(root):
        place = book.path.relative_to(root).as_posix()
        address = f"https://colab.research.google.com/github/{repository}/blob/main/{place}"
        badge = f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"
        if book in listed:
            lines.append(f"- {book.path.stem}: {badge}")
        content = book.read()
        title, bootstrap = content.cells[0], next(cell for cell in content.cells if cell.cell_type == "code")
        title.source = f"{badge}\n\n" + re.sub(r"\A\[!\[Open in Colab.*\n+", "", title.source)
        bootstrap.source = re.sub(
            r'^REPOSITORY = ".*?"', f'REPOSITORY = "https://github.com/{repository}"', bootstrap.source, flags=re.M
        )
        book.write(content)
    readme = root / "README.md"
    write_atomically(readme, between(readme.read_text(encoding="utf-8"), "badges", "\n".join(lines), readme.name))
