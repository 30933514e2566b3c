import json
from dataclasses import replace

import pytest

from mnist_drill.errors import DrillError
from mnist_drill.evidence.stored import load_runs
from mnist_drill.judge.card import card
from mnist_drill.judge.page import page
from mnist_drill.judge.report import FAILED, PASSED, UNKNOWN, Error, Finding, Layer, Parameters, Report, Speed
from mnist_drill.judge.rules import PRESETS


@pytest.fixture(scope="module")
def report():
    """A report with everything in it; its runs are stage 4's stored ones."""
    runs = load_runs("stage4")[:2]
    return Report(
        name="mine", file="mine.py", network="network", source="0" * 16, judged="2026-01-01T00:00:00+00:00",
        quick=False, rules=PRESETS["classic"], seeds=(1, 2),
        findings=(Finding("parameters", PASSED, "9,904", "why"), Finding("accuracy", FAILED, "99.1 %", "why", "next")),
        environment=runs[0].environment, closed=("network",), recipe={"epochs": 15},
        parameters=Parameters(9904, hidden=3),
        parts={"dropout": "in training mode"}, layers=(Layer("0", "conv 3×3", "", 3, 144),), mflops=5.8,
        mflops_of_stage4=5.8, speed=Speed(6000, (1.0, 2.0, 3.0), (1.0, 1.0, 2.0)),
        runs=(replace(runs[0], evaluated_on="validation"), runs[1]), confusion=((1,) * 10,) * 10,
        errors=(Error(3, 4, 9, 0.9, "00ff" * 392),), output="hello",
    )  # fmt: skip


def test_a_report_is_the_same_after_it_was_stored(report, tmp_path):
    report.save(tmp_path / "mine.json")
    assert Report.load(tmp_path / "mine.json") == report


def test_finished_trainings_are_replaced_by_finished_ones_alone(report, tmp_path):
    path = tmp_path / "mine.json"
    stopped = replace(report, runs=(replace(report.runs[0], stopped="after an epoch"),))
    none = replace(report, runs=())
    for stored, replaced_by in ((none, none), (stopped, none), (report, report), (none, report)):
        stored.save(path)
        assert replaced_by.may_replace(path)
    report.save(path)
    assert not none.may_replace(path)
    assert not stopped.may_replace(path)
    assert none.may_replace(tmp_path / "missing.json")


@pytest.mark.parametrize(
    "damage",
    [{"format": 2}, {"verdict": "passed"}, {"findings": [{"rule": 3}]}, {"runs": [{}]}, {"rules": {"budget": 3}},
     {"rules": {"accuracy": 300}}, {"rules": {"limits": {"memory_gb": -1}}}, {"rules": {"last": 0}},
     {"seeds": None}, {"more": 1}],
)  # fmt: skip
def test_what_is_no_report_is_refused(report, tmp_path, damage):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({**report.to_dict(), **damage}))
    with pytest.raises(DrillError, match=r"mine\.json does not hold"):
        Report.load(path)


@pytest.mark.parametrize(
    ("verdicts", "verdict", "status"),
    [([PASSED, PASSED], PASSED, 0), ([PASSED, UNKNOWN], UNKNOWN, 2), ([UNKNOWN, FAILED], FAILED, 1), ([], UNKNOWN, 2)],
)
def test_one_rule_that_fails_decides(report, verdicts, verdict, status):
    findings = tuple(Finding("shape", each, f"found {each}", "why") for each in verdicts)
    judged = replace(report, findings=findings)
    assert (judged.verdict, judged.exit_status) == (verdict, status)
    assert judged.reason == ("" if verdict == PASSED or not verdicts else f"found {verdict}")


def test_a_run_of_few_epochs_is_judged_by_all_of_them(report):
    run = replace(report.runs[1], epochs=report.runs[1].epochs[:2])
    assert replace(report, runs=(run,)).lowest() == [min(row.test_accuracy for row in run.epochs)]


def test_the_page_is_one_file_with_curves_errors_and_layers_and_takes_text_for_text(report):
    text = page(replace(report, name="<script>alert(1)</script>", output="</pre><b>bold</b>"))
    assert "<script>alert(1)" not in text
    assert "<b>bold" not in text
    assert "<svg" in text
    assert "data:image/png;base64," in text
    assert "conv 3×3" in text
    links = [part.split('"')[0] for start in ('src="', 'href="') for part in text.split(start)[1:]]
    assert not [link for link in links if link.startswith(("http", "//"))]


def test_the_card_says_each_rule_and_what_to_do_next(report):
    lines = card(report).splitlines()
    assert "FAILED" in lines[0]
    assert any(line.startswith("✓ parameters") for line in lines)
    assert any("next: next" in line for line in lines)
