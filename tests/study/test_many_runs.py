"""10,000 finished runs in a folder. Limits are of processor time, which other work on the machine hardly adds to."""

import json
import resource
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mnist_drill import data
from mnist_drill.course.notebooks import ROOT
from mnist_drill.evidence.stored import load_runs
from mnist_drill.study.file import read_study
from mnist_drill.study.folder import Folder, file_of
from mnist_drill.study.plan import identities, sets_of

pytestmark = pytest.mark.slow

STUDY = """
network = "stage4"
seeds = 10
baseline = "learning_rate 0.001, momentum 0.0"
[grid.recipe]
learning_rate = [{}]
momentum = [{}]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of 1,000 rows and 10 seeds, and its folder with all runs: those of stage 4, with other accuracies."""
    folder = tmp_path_factory.mktemp("many")
    path = folder / "study.toml"
    rates, momenta = ([f"{i / 1000:.3f}" for i in range(1, 41)], [f"{i / 26:.3f}" for i in range(25)])
    path.write_text(STUDY.format(", ".join(rates), ", ".join(momenta)))
    study = read_study(path)
    out = Folder(folder / "out")
    run, draw = load_runs("stage4")[0], np.random.default_rng(1)
    for task in out.begin(study, identities(study, data.checksum(*sets_of("validation")))):
        accuracy, loss = 99.4 + 0.06 * draw.standard_normal(), 0.02 + 0.001 * draw.standard_normal()
        last = replace(run.last, test_accuracy=accuracy, test_loss=loss)
        made = replace(run, name=task.name, seed=task.seed, recipe=task.row.recipe, epochs=(*run.epochs[:-1], last))
        # As `Folder.store` does, without waiting for the disk 10,000 times.
        (out.runs / file_of(out.keys[task.name], task.seed)).write_text(json.dumps(made.to_dict(), indent=1))
    return path, out


def seconds_of(*arguments):
    """The processor time of the command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "mnist_drill", "study", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_that_nothing_is_missing_is_said_soon(study):
    path, out = study
    output, seconds = seconds_of(path, "--out", out.path)
    assert "10,000 runs are in" in output and " 0 of them new" in output
    print(f"nothing missing: {seconds:.1f} s")
    assert seconds < 15  # on an idle machine under 5


def test_a_report_is_made_soon(study):
    _, out = study
    _, seconds = seconds_of("report", out.path)
    print(f"report: {seconds:.1f} s")
    assert seconds < 40  # on an idle machine under 20
    rows = json.loads((out.path / "report.json").read_text())["rows"]
    assert len(rows) == 1_000
    assert {row["runs"] for row in rows} == {10}
    # None differs in truth, and among 999 comparisons about 50 would be called significant without the correction.
    assert sum(row["accuracy_verdict"] not in (None, "no significant difference") for row in rows) <= 1
