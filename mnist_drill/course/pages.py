"""What is rendered into the README, the pages of docs/ and the notebooks: tables, one figure, and times.

A table stands between two comments, `<!-- name -->` and `<!-- /name -->`; `TABLES` says which page has which.
"""

from __future__ import annotations

import math
from itertools import takewhile
from typing import TYPE_CHECKING

from mnist_drill.benchmark import report as benchmark
from mnist_drill.course import photographs
from mnist_drill.course.blocks import block, shown_by
from mnist_drill.course.markers import between
from mnist_drill.course.notebooks import ROOT, every_notebook, notebooks, render_title, without_pages
from mnist_drill.course.overview import overview
from mnist_drill.course.tables import Table, counted, machine, percent, precision, spread_table, study_table, threads
from mnist_drill.errors import DrillError
from mnist_drill.evidence import stored
from mnist_drill.evidence.stored import load_runs, load_study
from mnist_drill.evidence.studies import STUDIES
from mnist_drill.leaderboard import entries, rankings
from mnist_drill.stages import NETWORKS, STAGES
from mnist_drill.storage.files import write_atomically
from mnist_drill.study import throughput
from mnist_drill.zoo import comparison

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mnist_drill.course.notebooks import Notebook
    from mnist_drill.stages import Stage

OVERVIEW = "docs/images/accuracy.svg"

# Validation accuracy of the networks in an entry to Kaggle's Digit Recognizer competition, in percent. No source is
# linked, and they were not verified.
PUBLISHED_ELEVEN = {
    "resnet18": 99.45, "resnet34": 99.50, "mobilenet_v2": 99.51, "mobilenet_v3_small": 98.15,
    "mobilenet_v3_large": 99.29, "squeezenet1_0": 99.33, "squeezenet1_1": 98.86, "efficientnet_b0": 99.35,
    "efficientnet_b3": 99.05, "mnasnet0_5": 78.82, "mnasnet1_0": 98.76,
}  # fmt: skip


def results_table(root: Path) -> str:
    """A row for each notebook: its run, the lowest of the last five epochs over all stored seeds, and its minutes."""
    books = notebooks(root)
    rows = []
    for (name, stage), book in zip(STAGES.items(), books, strict=True):
        run, seeds = book.run(), load_runs(name, stage.recipe)
        lowest = min((seed.lowest_of_last(5) for seed in seeds), default=math.nan)
        rows.append(
            [f"[{book.title()}](notebooks/{book.path.name})", f"{run.parameters:,}", len(run.epochs),
             percent(run.last.test_accuracy), percent(lowest), counted(seeds),
             f"{precision([run])}, {precision(seeds)}", f"{book.minutes():.1f}", _published(stage)[1]]
        )  # fmt: skip
    header = ["notebook", "parameters", "epochs", "last test accuracy", "lowest of the last five, all seeds", "seeds",
              "precision: run, seeds", "minutes", "published best test, not verified"]  # fmt: skip
    return f"{Table(header, rows).markdown()}\n\n{_of_notebooks(books)}"


def notebooks_table(root: Path) -> str:
    """A row for each notebook's own run, with the published figures beside it."""
    books = notebooks(root)
    rows = []
    for stage, book in zip(STAGES.values(), books, strict=True):
        run = book.run()
        rows.append(
            [f"[{book.path.stem}](../notebooks/{book.path.name})", f"{run.parameters:,}", percent(run.best_train),
             percent(run.best_test), percent(run.last.test_accuracy), percent(run.lowest_of_last(5)), len(run.epochs),
             precision([run]), f"{book.minutes():.1f}", *_published(stage)]
        )  # fmt: skip
    header = ["notebook", "parameters", "best train", "best test", "last test", "lowest of last five", "epochs",
              "precision", "minutes", "published best train, not verified",
              "published best test, not verified"]  # fmt: skip
    return f"{Table(header, rows).markdown()}\n\n{_of_notebooks(books)}"


def seeds_table(root: Path) -> str:
    """A row for each network: how its accuracies spread over the seeds of the evidence, and what is published."""
    runs_of = {name: load_runs(name, stage.recipe) for name, stage in NETWORKS.items()}
    runs_of |= {f"{name}, without mixed precision": runs for name, runs in load_study("float32").items()}
    table = spread_table(runs_of)
    published = [_published(NETWORKS[row[0].partition(",")[0]])[1] for row in table.rows]
    table = table.with_column("published best epoch, one run, not verified", published, after=table.header[-1])
    runs = [run for runs in runs_of.values() for run in runs]
    return f"{table.markdown()}\n\nAccuracies in percent. Trained on {_machines(run.environment for run in runs)}."


def ablation_tables(root: Path) -> str:
    """What the file of each study with a baseline says at its head, and how its variants compare with that."""
    parts = []
    for name, study in STUDIES.items():
        runs_of = {} if name in NETWORKS or study.evaluated_on != "validation" else load_study(name)
        if study.baseline not in runs_of:
            continue
        lines = (stored.FOLDER / f"{name}.toml").read_text(encoding="utf-8").splitlines()
        said = " ".join(line.removeprefix("# ") for line in takewhile(lambda line: line.startswith("# "), lines))
        where = _machines(run.environment for runs in runs_of.values() for run in runs)
        table = study_table(runs_of, study.baseline)
        table = table.with_column("precision", map(precision, runs_of.values()), after="seeds")
        parts += [f"**{name}.** {said} Trained on {where}.", table.markdown()]
    return "\n\n".join(parts)


def speed_tables(root: Path) -> str:
    """The stored benchmark: epochs against the usual pipelines, time to accuracy, latency."""
    path = stored.FOLDER / "benchmark.json"
    report = benchmark.load_report(path)
    try:
        return "\n\n".join(
            [
                f"On {_machines([report['environment']])} (the usual pipeline in float32). "
                "Seconds per epoch, evaluation on the test set included: median (lowest to highest) of the rounds.",
                benchmark.epoch_table(report).markdown(),
                "What the FLOPs of an epoch alone would take, at the throughput of a large matrix product:",
                benchmark.limit_table(report).markdown(),
                "Seconds of training until a test accuracy is reached, median (lowest to highest) of seeds that do:",
                benchmark.goals_table(report).markdown(),
                "Latency, microseconds per image of 28×28 pixels, median (lowest to highest) of the rounds:",
                benchmark.latency_table(report).markdown(),
            ]
        )
    except KeyError as part:
        raise DrillError(f"{path} lacks {part}: `bench --out {path}` measures everything") from None


def speed_without_bfloat16(root: Path) -> str:
    """Stage 4's epoch beside its published form, all of them in float32, and its memory."""
    path = stored.FOLDER / "benchmark_float32.json"
    report = benchmark.load_report(path)
    try:
        return (
            f"On {_machines([report['environment']])}. Seconds per epoch, evaluation on the test set included: "
            f"median (lowest to highest) of the rounds.\n\n{benchmark.published_table(report).markdown()}\n\n"
            f"{benchmark.memory_line(report)}"
        )
    except KeyError as part:
        raise DrillError(
            f"{path} lacks {part}: `bench --only published --only memory --out {path}` measures it"
        ) from None


def throughput_table(root: Path) -> str:
    """How many runs a minute one job, parallel jobs and Ray trained on one machine."""
    measured = throughput.load(stored.FOLDER / "throughput.json")
    return (
        f"{throughput.table(measured['runs per minute']).markdown()}\n\n"
        f"{measured['runs']} runs of {', '.join(measured['networks'])}, {measured['epochs']} epochs in all, "
        f"trained by each in turns on {_machines([measured['environment']])}."
    )


def comparison_table(root: Path) -> str:
    """The stored comparison of the course's networks with torchvision's, and what is published for some of these."""
    compared = comparison.stored()
    table, runs_of = comparison.table(compared), {run.name: run for run in compared.runs}
    names = [row[0] for row in table.rows]
    trained_in = [precision(runs_of[each] for each in compared[name].members or (name,)) for name in names]
    published = [percent(PUBLISHED_ELEVEN.get(name, math.nan)) for name in names]
    table = table.with_column("precision of training", trained_in, after="epochs")
    table = table.with_column("published validation accuracy, not verified", published, after=table.header[-1])
    return (
        f"{table.markdown()}\n\n"
        f"Accuracies in percent, one run each, seed {compared.runs[0].seed}; "
        f"trained on {_machines(run.environment for run in compared.runs)}; "
        f"latency measured on {_machines([compared.environment])}."
    )


def blocks(root: Path) -> str:
    """The block of each notebook, under its title, after a line about their runs."""
    return _by_notebook(root, block)


def margins_tables(root: Path) -> str:
    """What each notebook's claims ask, and how far from it its run and the closest stored seed are."""
    return _by_notebook(root, _margins)


def _margins(book: Notebook) -> str:
    texts = [text for cell in book.read().cells if "margins(" in cell.source for text in shown_by(cell)]
    if not texts:
        raise DrillError(f"{book.path} shows no margins: execute it first")
    run = book.run()
    stored_runs = [each for name in STUDIES for each in load_runs(name)]
    seeds = [x for x in stored_runs if x.repeats(run.recipe, run.network, run.data, run.evaluated_on)]
    made_on = " and ".join(sorted({machine(each) for each in seeds})) or "none"
    return "\n\n".join([*texts, f"This run: {machine(run)}. Stored seeds: {made_on}."])


def photographs_table(root: Path) -> str:
    """How many photographs of each kind `predict` classifies correctly, and how many pages it refuses."""
    measured = photographs.load()
    return (
        f"{photographs.table(measured['kinds']).markdown()}\n\n"
        f"By {measured['network']} with {measured['accuracy']:.2f} % test accuracy, "
        f"on {_machines([measured['environment']])}."
    )


def leaderboard_tables(root: Path) -> str:
    """The rankings of the leaderboard, a sentence in place of an empty one."""
    folder = root / "leaderboard"
    found = entries.entries(folder)
    parts = []
    for question, table in rankings.rankings(found, f"../{folder.name}/").items():
        parts += [f"### {question}", table.markdown() if table else "No network that was judged does so yet."]
    machines = _machines(run.environment for entry in found for run in entry.report.runs)
    return "\n\n".join([*parts, f"Accuracies in percent, on the test set. Judged on {machines}." * bool(found)]).strip()


TABLES = {
    "README.md": {"results": results_table},
    "docs/blocks.md": {"blocks": blocks},
    "docs/measurements.md": {"margins": margins_tables},
    "docs/evidence.md": {"notebooks": notebooks_table, "seeds": seeds_table, "ablations": ablation_tables},
    "docs/big_networks.md": {"comparison": comparison_table},
    "docs/speed.md": {"speed": speed_tables, "float32": speed_without_bfloat16},
    "docs/photographs.md": {"photographs": photographs_table},
    "docs/cluster.md": {"throughput": throughput_table},
    "docs/leaderboard.md": {"leaderboard": leaderboard_tables},
}


def render(root: Path = ROOT) -> None:
    """Writes all that is rendered: the pages' tables, the README's figure, and the times in the notebooks.

    The notebooks' pictures keep no HTML beside them.
    """
    rendered = {page: render_page(page, root) for page in TABLES} | {OVERVIEW: render_overview()}
    for page, text in rendered.items():
        write_atomically(root / page, text)
    for book in every_notebook(root):
        content = book.read()
        content.cells[0].source = render_title(content.cells[0].source, book)
        book.write(without_pages(content))


def render_page(page: str, root: Path = ROOT) -> str:
    """The text of a page with its tables rendered again. Raises `DrillError` for a page that cannot be read."""
    try:
        text = (root / page).read_text(encoding="utf-8")
    except OSError as error:
        raise DrillError(f"cannot read {root / page}: {error.strerror}; pages are rendered in a clone") from None
    for marker, table in TABLES[page].items():
        text = between(text, marker, table(root), page)
    return text


def render_overview() -> str:
    """The README's figure, from the evidence: the test accuracy of each stage over its seeds, as SVG."""
    return overview({name: load_runs(name, stage.recipe) for name, stage in STAGES.items()})


def _by_notebook(root: Path, text_of: Callable[[Notebook], str]) -> str:
    """A text of each notebook, under its title, after a line about their runs."""
    books = every_notebook(root)
    shown = [f"## [{book.title()}](../notebooks/{book.path.name})\n\n{text_of(book)}" for book in books]
    return "\n\n".join([_of_notebooks(books), *shown])


def _of_notebooks(books: list[Notebook]) -> str:
    """What is said below a table of the notebooks' runs."""
    runs = [book.run() for book in books]
    total = sum(book.minutes() for book in books)
    seeds = " and ".join(map(str, sorted({run.seed for run in runs})))
    return (
        f"Accuracies in percent; each notebook's run has seed {seeds}. These {len(books)} notebooks together took "
        f"{total:.0f} minutes on {_machines(run.environment for run in runs)}."
    )


def _published(stage: Stage) -> list[str]:
    """The published best train and best test accuracy of a stage, a dash where there is none."""
    if stage.published is None:
        return [percent(math.nan)] * 2
    return [percent(stage.published.best_train), percent(stage.published.best_test)]


def _machines(environments: Iterable[dict[str, str | int]]) -> str:
    """The hardware, the threads, the version of torch and, of a training, the precision that runs were made with."""
    machines = set()
    for each in environments:
        parts = [each["hardware"], threads(each), f"torch {str(each['torch']).partition('+')[0]}"]
        if "precision" in each:
            parts.append(each["precision"])
        machines.add(", ".join(parts))
    return " and on ".join(sorted(machines))
