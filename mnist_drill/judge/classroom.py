"""Judging a folder of submissions: one row for each, whatever it does, resumed where it was interrupted."""

from __future__ import annotations

import csv
import io
import json
import secrets
import sys
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mnist_drill
from mnist_drill.errors import DrillError, Interrupted
from mnist_drill.judge.judging import cores, draw_seeds, judge, zygote
from mnist_drill.judge.page import TEMPLATES, write_page
from mnist_drill.judge.report import EXIT_STATUS, UNKNOWN, Report
from mnist_drill.judge.rules import LARGEST_DRAWN_SEED
from mnist_drill.judge.sets import Sets
from mnist_drill.judge.submission import in_text, read_submission
from mnist_drill.judge.talk import line
from mnist_drill.storage.files import ensure_writable, read_json, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnist_drill.judge.rules import Rules

FORMAT = 1  # of class.json
COLUMNS = ("submission", "verdict", "reason", "parameters", "lowest_accuracy", "mean_lowest_accuracy",
           "validation_accuracy", "epochs", "mflops", "time_of_stage4", "report")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A submission of a class. Without a report there could not even be one, and `reason` says why."""

    file: str  # in the class's folder
    report: Report | None
    reason: str = ""

    @property
    def verdict(self) -> str:
        return self.report.verdict if self.report else UNKNOWN

    @property
    def exit_status(self) -> int:
        return EXIT_STATUS[self.verdict]

    def values(self) -> dict[str, object]:
        """What the table has of it, by `COLUMNS`; empty where there is nothing."""
        row = {**dict.fromkeys(COLUMNS, ""), "submission": self.file, "verdict": self.verdict, "reason": self.reason}
        report = self.report
        if report is None:
            return row
        row |= {"reason": report.reason, "report": f"reports/{report_name(self.file)}.html"}
        if report.parameters:
            row |= {"parameters": report.parameters.counted, "epochs": report.recipe.get("epochs", "")}
        if report.mflops is not None:
            row["mflops"] = round(report.mflops, 4)
        if report.speed:
            row["time_of_stage4"] = round(report.speed.ratio, 2)
        lows, validation = report.lowest(), report.runs_on("validation")
        if lows:
            row |= {"lowest_accuracy": round(min(lows), 2), "mean_lowest_accuracy": round(sum(lows) / len(lows), 2)}
        if validation:
            lasts = [run.last.test_accuracy for run in validation]
            row["validation_accuracy"] = round(sum(lasts) / len(lasts), 2)
        return row


def judge_folder(
    folder: Path,
    out: Path,
    rules: Rules,
    *,
    quick: bool = False,
    jobs: int | None = None,
    tell: Callable[[str], object] = lambda line: None,
    sets: Sets | None = None,
    speed: bool = True,
) -> list[Row]:
    """Judges each `*.py` in the folder, and each `network.py` in a folder of it, `jobs` at a time.

    Writes a report for each as soon as it is judged, and the table as OUT/class.csv and OUT/index.html. A submission
    is judged again only where it, its recipe, the rules or the seeds have changed: the same command resumes an
    interrupted one. The seeds are drawn once for the class, and kept in OUT/class.json. Raises `DrillError` for a
    folder without submissions.
    """
    files = [*folder.glob("*.py"), *folder.glob("*/network.py")]
    # A notebook cannot be judged, and is a row that says so.
    files = sorted([*files, *(x for x in folder.glob("*.ipynb") if x.with_suffix(".py") not in files)])
    if not files:
        raise DrillError(f"{folder} holds no submission: a class is a folder of *.py, or of folders with a network.py")
    ensure_writable(out / "reports")
    first_seed = _first_seed(out / "class.json", rules)
    keys = {file: in_text(file.relative_to(folder)) for file in files}
    rows: dict[str, Row] = {}
    missing = []
    for file, key in keys.items():
        row = _stored(file, key, out, rules, quick, first_seed)
        if row:
            rows[key] = row
        else:
            missing.append(file)
    tell(f"{len(files)} submissions, {len(rows)} of them are judged already")
    write_table(out, folder, rules, quick, rows)
    if missing:
        sets = sets or Sets.load()
        jobs = jobs or cores()
        threads = max(1, cores() // jobs)
        with zygote(*_closable(folder, out)) as processes, processes.pool(jobs) as pool:

            def one(file: Path) -> Row:
                options = {"quick": quick, "first_seed": first_seed, "speed": speed, "threads": threads}
                return _judge_one(file, keys[file], out, rules=rules, sets=sets, processes=processes, **options)

            futures = [pool.submit(one, file) for file in missing]
            for future in as_completed(futures):
                row = future.result()
                rows[row.file] = row
                reason = row.values()["reason"]
                tell(line(f"{row.file}: {row.verdict}{reason and ': '}{reason}", 1000))
                write_table(out, folder, rules, quick, rows)
    return [rows[key] for key in sorted(rows)]


def report_name(file: str) -> str:
    """Where a submission's report lies among the reports, without suffix: as its file does in the class's folder."""
    return file.removesuffix(".py")


def _judge_one(file: Path, key: str, out: Path, **options) -> Row:
    try:
        submission = read_submission(file)
    except DrillError as error:
        return Row(key, None, str(error))
    try:
        report = judge(submission, jobs=1, **options)
    except Exception as error:  # whatever it has led the judge to, the others are judged
        report, reason = None, f"the judge itself failed, {type(error).__name__}: {line(error)}"
    if options["processes"].stopped:
        raise Interrupted(f"{key} is judged again by the same command")
    if report is None:
        return Row(key, None, reason)
    path = out / "reports" / f"{report_name(key)}.json"
    write_page(path.with_suffix(".html"), report)
    report.save(path)  # last: what is there is finished
    return Row(key, report)


def _stored(file: Path, key: str, out: Path, rules: Rules, quick: bool, first_seed: int) -> Row | None:
    """The row of a submission that was judged before, as it is now."""
    path = out / "reports" / f"{report_name(key)}.json"
    if not path.exists():
        return None
    try:
        report, submission = Report.load(path), read_submission(file)
    except DrillError:
        return None
    seeds = draw_seeds(rules.seeds, first_seed)
    same = (report.source, report.rules, report.quick, report.seeds) == (submission.source, rules, quick, seeds)
    return Row(key, report) if same else None


def _first_seed(path: Path, rules: Rules) -> int:
    """The class's first seed: drawn at its beginning, the same for all of its submissions."""
    if path.exists():
        return read_json(path, _seed_of, "a class", "remove it, and the class is judged again at new seeds")
    seed = secrets.randbelow(LARGEST_DRAWN_SEED - rules.seeds)
    write_atomically(path, json.dumps({"format": FORMAT, "first_seed": seed}) + "\n")
    return seed


def _seed_of(values: dict) -> int:
    if values["format"] != FORMAT or type(values["first_seed"]) is not int:
        raise ValueError("no first seed")
    return values["first_seed"]


def _closable(*folders: Path) -> list[Path]:
    """Those folders in which neither Python nor this package is, which submissions need."""
    needed = [Path(x).resolve() for x in (sys.prefix, sys.base_prefix, mnist_drill.__file__)]
    return [x for x in folders if not any(each.is_relative_to(x.resolve()) for each in needed)]


def write_table(out: Path, folder: Path, rules: Rules, quick: bool, rows: dict[str, Row]) -> None:
    """Writes the table of the rows that there are, as OUT/class.csv and OUT/index.html."""
    values = [rows[key].values() for key in sorted(rows)]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in values)
    write_atomically(out / "class.csv", text.getvalue())
    page = TEMPLATES.get_template("class.html").render(
        name=folder.resolve().name, rules=asdict(rules), quick=quick, rows=values, columns=COLUMNS
    )
    write_atomically(out / "index.html", page)


def _cell(value: object) -> object:
    """A value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value
