"""What a report says of runs: real ones of the evidence, and made ones."""

import csv
import io
import json
from dataclasses import replace

import pytest
import scipy.stats

from mnist_drill.course.statistics import holm
from mnist_drill.evidence.stored import load_study
from mnist_drill.study import report
from mnist_drill.study.folder import Asked
from tests.course.runs import RUN, ending

SIZES = {"accuracy": 0.1, "loss": 0.001}


def asked_of(rows, baseline, seeds=(1, 2, 3)):
    return Asked({name: name for name in rows}, tuple(seeds), "validation", baseline)


@pytest.fixture(scope="module")
def candidates():
    """A study of the course as a folder would hold it, and its entries."""
    rows = load_study("candidates")
    asked = asked_of(rows, "stage 2 with batch norm")
    return asked, rows, report.entries_of(asked, rows, SIZES)


def test_rows_are_compared_with_the_baseline_by_welch_and_holm(candidates):
    asked, rows, entries = candidates
    others = [entry for entry in entries if entry.name != asked.baseline]
    assert [entry.name for entry in entries] == list(rows)
    for measure in report.MEASURES:
        base = [measure.value(run) for run in rows[asked.baseline]]
        tests = [
            scipy.stats.ttest_ind([measure.value(run) for run in rows[entry.name]], base, equal_var=False)
            for entry in others
        ]
        found = [entry.compared[measure.name] for entry in others]
        assert [x.difference.p for x in found] == pytest.approx(holm([test.pvalue for test in tests]))
        for x, test in zip(found, tests, strict=True):
            interval = test.confidence_interval(0.95)
            assert (x.difference.low, x.difference.high) == pytest.approx((interval.low, interval.high))
            significant = x.difference.p <= 0.05
            assert (x.difference.verdict == "no significant difference") == (not significant)
    assert next(entry for entry in entries if entry.name == asked.baseline).compared == {}


def test_what_is_better_is_more_accuracy_and_less_loss():
    better = [replace(run, epochs=(replace(run.last, test_loss=0.01),)) for run in ending(99.5, 99.51, 99.52)]
    worse = [
        replace(run, epochs=(replace(run.last, test_loss=0.02 + run.seed / 1e4),)) for run in ending(99, 99.01, 99)
    ]
    rows = {"base": worse, "other": better}
    _, other = report.entries_of(asked_of(rows, "base"), rows, SIZES)
    assert {name: x.difference.verdict for name, x in other.compared.items()} == dict.fromkeys(
        SIZES, "significantly better"
    )
    base, _ = report.entries_of(asked_of(rows, "other"), rows, SIZES)
    assert {name: x.difference.verdict for name, x in base.compared.items()} == dict.fromkeys(
        SIZES, "significantly worse"
    )


def test_the_verdict_is_by_the_corrected_p():
    """Of one row alone the difference is significant; among twenty it is not."""
    base, other = ending(99.40, 99.44, 99.42, 99.41, 99.43), ending(99.44, 99.48, 99.46, 99.45, 99.43)
    for number, verdict in ((1, "significantly better"), (20, "no significant difference")):
        rows = {"base": base} | {f"row {i}": other for i in range(number)}
        entry = report.entries_of(asked_of(rows, "base"), rows, SIZES)[1]
        assert entry.compared["accuracy"].difference.low > 0
        assert entry.compared["accuracy"].difference.verdict == verdict


def test_runs_that_diverged_or_are_missing_are_counted_and_not_averaged():
    nan = replace(RUN.last, train_loss=float("nan"), test_loss=float("nan"), test_accuracy=9.8)
    diverged = [replace(RUN, seed=seed, epochs=(nan,), stopped="loss nan in epoch 1") for seed in (4, 5)]
    rows = {"base": ending(99.1, 99.2, 99.3), "some": ending(98.1, 98.2, 98.3) + diverged, "all": diverged, "none": []}
    asked = asked_of(rows, "base", range(1, 7))
    entries = report.entries_of(asked, rows, SIZES)
    assert [entry.count for entry in entries] == [
        "3; 3 missing", "3; diverged, 2 of 5; 1 missing", "diverged, 2 of 2; 4 missing", "0; 6 missing"
    ]  # fmt: skip
    table = report.tables(asked, entries, SIZES)["accuracy"]
    assert [row[3] for row in table.rows] == ["99.20 ± 0.10", "98.20 ± 0.10", "–", "–"]
    assert [row[6] for row in table.rows] == ["–", "significantly worse", "–", "–"]
    assert "diverged" in report.method(asked, entries)
    json.dumps(report.figures(entries), allow_nan=False)


def test_seeds_that_a_difference_needs_grow_as_it_shrinks(candidates):
    asked, rows, entries = candidates
    finer = report.entries_of(asked, rows, {"accuracy": 0.02, "loss": 0.0001})
    for entry, fine in zip(entries, finer, strict=True):
        for name, x in entry.compared.items():
            assert x.seeds_needed < fine.compared[name].seeds_needed
            assert x.more_seeds == max(0, x.seeds_needed - 3)


def test_one_seed_gives_no_interval_and_no_verdict():
    rows = {"base": ending(99.1), "other": ending(99.5)}
    asked = asked_of(rows, "base")
    entries = report.entries_of(asked, rows, SIZES)
    assert report.tables(asked, entries, SIZES)["accuracy"].rows[1][4:] == [
        "+0.40", "–", "no significant difference", "–"
    ]  # fmt: skip


def test_without_a_baseline_nothing_is_compared():
    rows = {"one": ending(99.1, 99.2), "other": ending(99.5, 99.6)}
    asked = asked_of(rows, "")
    entries = report.entries_of(asked, rows, SIZES)
    assert all(entry.compared == {} for entry in entries)
    assert report.tables(asked, entries, SIZES)["loss"].header[-1] == "last validation loss"
    assert "Welch" not in report.method(asked, entries)


def test_csv_has_the_figures_unrounded(candidates):
    _, _, entries = candidates
    figures = report.figures(entries)
    read = list(csv.DictReader(io.StringIO(report.as_csv(figures))))
    assert [row["row"] for row in read] == [entry.name for entry in entries]
    for row, figure in zip(read, figures, strict=True):
        assert {key: "" if value is None else str(value) for key, value in figure.items()} == row
