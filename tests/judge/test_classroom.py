import csv
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mnist_drill.errors import DrillError
from mnist_drill.judge import classroom
from mnist_drill.judge.classroom import judge_folder
from mnist_drill.judge.report import FAILED, PASSED, UNKNOWN, Report
from mnist_drill.judge.rules import PRESETS
from tests.leaderboard.reports import full_report

HERE = Path(__file__).parent
BROKEN = ("infinite_loop", "crashes", "output_without_end", "takes_30_gb", "hundreds_of_processes")
STUDENT = """from mnist_drill.recipes import Recipe
from torch import nn

recipe = Recipe(epochs=1, batch_size=8, learning_rate={rate})


def network():
    return nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(196, {width}), nn.ReLU(), nn.Linear({width}, 10))
"""


def test_a_folder_without_submissions_is_one_line(tmp_path):
    with pytest.raises(DrillError, match="holds no submission"):
        judge_folder(tmp_path, tmp_path / "out", PRESETS["drill"])


def test_a_notebook_is_a_row_that_says_what_to_hand_in(few_sets, tmp_path):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "stu\x1bdent.ipynb").write_text("{}")
    lines = []
    (row,) = judge_folder(tmp_path / "class", tmp_path / "out", PRESETS["drill"], quick=True, sets=few_sets,
                          tell=lines.append)  # fmt: skip
    assert (row.file, row.verdict) == ("stu\x1bdent.ipynb", UNKNOWN)
    assert "%%writefile" in row.values()["reason"]
    assert all(map(str.isprintable, lines))


def test_the_table_tells_the_mean_of_lowest_accuracies_from_that_of_last_ones():
    report = full_report()
    values = classroom.Row("mine.py", report).values()
    lows, lasts = report.lowest(), [run.last.test_accuracy for run in report.runs_on("validation")]
    assert values["lowest_accuracy"] == round(min(lows), 2)
    assert values["mean_lowest_accuracy"] == round(statistics.mean(lows), 2)
    assert values["validation_accuracy"] == round(statistics.mean(lasts), 2)


def test_what_the_judge_does_not_survive_costs_the_other_submissions_nothing(few_sets, tmp_path, monkeypatch):
    (tmp_path / "class").mkdir()
    for name in ("one", "two"):
        (tmp_path / "class" / f"{name}.py").write_text("EPOCHS = 3\n")
    judge = classroom.judge

    def fails(submission, **options):
        if submission.title == "one":
            raise KeyError("\x1b[31m")
        return judge(submission, **options)

    monkeypatch.setattr(classroom, "judge", fails)
    rows = judge_folder(tmp_path / "class", tmp_path / "out", PRESETS["drill"], quick=True, sets=few_sets)
    assert [(row.file, row.verdict, row.report is None) for row in rows] == [
        ("one.py", UNKNOWN, True), ("two.py", UNKNOWN, False)
    ]  # fmt: skip
    assert "KeyError" in rows_of(tmp_path / "out")["one"]["reason"]


@pytest.mark.slow
def test_each_submission_has_a_report_of_its_own_whatever_its_file_is_called(few_sets, tmp_path):
    folder, out = tmp_path / "class", tmp_path / "out"
    (folder / "a").mkdir(parents=True)
    names = [b"a/network.py", b"a__network.py", b"\xfcbung.py"]  # the last from a system with another encoding
    for width, name in enumerate(names, 10):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text(STUDENT.format(width=width, rate=0.05))
    rows = judge_folder(folder, out, PRESETS["drill"], quick=True, sets=few_sets)
    assert [row.file for row in rows] == ["\\xfcbung.py", "a/network.py", "a__network.py"]
    for row in rows:
        report = Report.load(out / Path(row.values()["report"]).with_suffix(".json"))
        assert report.parameters.counted == row.report.parameters.counted
    assert len({row.report.parameters.counted for row in rows}) == 3
    lines = []
    judge_folder(folder, out, PRESETS["drill"], quick=True, sets=few_sets, tell=lines.append)
    assert lines == ["3 submissions, 3 of them are judged already"]


def rows_of(out):
    with open(out / "class.csv", newline="") as file:
        return {row["submission"].removesuffix(".py"): row for row in csv.DictReader(file)}


@pytest.mark.judge
def test_a_class_of_twenty_with_five_broken_ones_killed_twice_and_interrupted_is_whole_and_right(tmp_path):
    folder, out = tmp_path / "class", tmp_path / "out"
    folder.mkdir()
    for name in BROKEN:
        shutil.copy(HERE / "wrong" / f"{name}.py", folder)
    for number in range(15):
        # The last ones have too many parameters, and one learns nothing.
        width, rate = (10 + number, 0.05) if number < 12 else (60, 0.05) if number < 14 else (10, 0.0)
        (folder / f"student_{number:02}.py").write_text(STUDENT.format(width=width, rate=rate))
    command = [sys.executable, str(HERE / "class_of_twenty.py"), str(folder), str(out)]

    def reports():
        return {path: path.stat().st_mtime_ns for path in (out / "reports").glob("*.json")}

    kept = {}
    for wanted, how in ((3, signal.SIGKILL), (9, signal.SIGKILL), (12, signal.SIGINT)):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(reports()) < wanted and process.poll() is None:
            time.sleep(0.1)
        started = psutil.Process(process.pid).children(recursive=True)
        assert started
        process.send_signal(how)
        process.wait(60)
        _, alive = psutil.wait_procs(started, timeout=10)
        assert alive == []
        assert kept.items() <= reports().items()
        kept = reports()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    assert kept.items() <= reports().items()  # what was judged is not judged again
    rows = rows_of(out)
    assert len(rows) == 20
    assert {name: rows[name]["verdict"] for name in BROKEN} == dict.fromkeys(BROKEN, UNKNOWN)
    assert all(rows[name]["reason"] for name in BROKEN)
    right = {name: row["verdict"] for name, row in rows.items() if name not in BROKEN}
    assert right == {f"student_{n:02}": PASSED if n < 12 else FAILED for n in range(15)}, rows
    assert rows["student_03"]["parameters"] == str(196 * 13 + 13 + 130 + 10)
    assert "parameters" in rows["student_12"]["reason"]
    assert "lowest of the last" in rows["student_14"]["reason"]
    loaded = [Report.load(path) for path in (out / "reports").glob("*.json")]
    assert len({report.seeds for report in loaded}) == 1
    page = (out / "index.html").read_text()
    assert page.count("<tr>") == 21
    assert all(f"reports/student_{n:02}.html" in page for n in range(15))


@pytest.mark.judge
def test_only_what_has_changed_is_judged_again_and_a_file_that_cannot_be_read_is_a_row(few_sets, tmp_path):
    folder, out = tmp_path / "class", tmp_path / "out"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.py").write_text(STUDENT.format(width=10, rate=0.05))
    (folder / "bytes.py").write_bytes(b"\xff\xfe")
    (folder / "=formula.py").write_text("EPOCHS = 3\n")
    (folder / "two.ipynb").write_text("{}")  # beside the file that was made from it

    def judged():
        lines = []
        judge_folder(folder, out, PRESETS["drill"], quick=True, jobs=2, sets=few_sets, tell=lines.append)
        return {line.partition(".py")[0] for line in lines[1:]}

    assert judged() == {"one", "two", "bytes", "=formula"}
    assert judged() == {"bytes"}
    (folder / "two.py").write_text(STUDENT.format(width=11, rate=0.05))
    (out / "reports" / "=formula.json").write_text("{")
    assert judged() == {"two", "bytes", "=formula"}
    rows = rows_of(out)
    assert rows["bytes"]["reason"].startswith("cannot read")
    assert "two.ipynb" not in rows
    assert "'=formula" in rows
    assert json.loads((out / "class.json").read_text())["first_seed"] >= 0
