"""What the notebooks claim and show: verdicts hold, and every figure follows from the stored runs."""

import ast
import re

from mnist_drill.evidence.stored import load_runs, load_study
from mnist_drill.models import build
from tests.notebooks.books import BOOKS, calls, cell_with, every_notebook


@every_notebook
def test_at_least_four_claims_in_the_analysis_and_every_verdict_is_as_expected(stem):
    expected = (("judge(TARGET, run, ", 3, "✓"), ("judge(ANALYSIS, ", 4, "✓"), ("judge(PREDICTIONS", 1, "✗"))
    for text, least, mark in expected:
        cell = cell_with(BOOKS[stem].code, text)
        verdicts = cell.outputs[0].data["text/plain"].splitlines()
        assert len(verdicts) >= least
        assert all(verdict.startswith(mark) and "not checked" not in verdict for verdict in verdicts), verdicts


@every_notebook
def test_run_and_evidence_are_of_the_record(stem):
    book = BOOKS[stem]
    stored = book.stored()
    runs = [book.notebook.run(), *stored]
    assert {run.name for run in runs} == {book.network}
    assert all(run.recipe == book.recipe for run in runs)
    assert {run.parameters for run in runs} == {book.parameters}
    assert {run.seed for run in stored} >= set(range(1, book.seeds + 1))


def trained_beside(book):
    """The names of runs, besides `run`, that the analysis is given; those that the notebook trains itself."""
    (call,) = (x for x in calls(cell_with(book.code, "judge(ANALYSIS, "), "judge") if x.args[0].id == "ANALYSIS")
    given = [argument.id for argument in call.args[2:]]
    return given, [name for name in given if any(f"{name} = fit(" in cell.source for cell in book.code)]


def cells_without_training(book):
    """The namespace and the code cells of a notebook, each with its last expression apart, its runs taken as stored."""
    given, _ = trained_beside(book)
    space = {"run": book.notebook.run(), "model": build(book.network)}
    space |= {name: load_runs(other)[0] for name, other in zip(given, book.compared_with, strict=True)}
    for cell in book.code[1:]:
        body = ast.parse(cell.source).body
        if re.search(r"\bfit\(|plots\.|summary\(|\binside\(|train_epoch\(trial", cell.source):
            continue
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), book.stem, "exec"), space)
        yield space, cell, last


@every_notebook
def test_every_figure_follows_from_the_stored_runs(stem):
    """Tables and verdicts, regenerated from the notebook's run and the evidence, are those that it shows."""
    book = BOOKS[stem]
    _, in_no_file = trained_beside(book)  # a second run that the notebook trains is not stored
    left_out = re.compile("|".join([r"\bprint\(", *(rf"\b{name}\b" for name in in_no_file)]))
    regenerated = 0
    for space, cell, last in cells_without_training(book):
        if last is not None and not left_out.search(cell.source):
            (shown,) = cell.outputs
            made = eval(compile(ast.Expression(last.value), stem, "eval"), space)
            assert made._repr_markdown_() == shown.data["text/markdown"]
            regenerated += 1
    assert regenerated >= 6


@every_notebook
def test_the_claims_hold_at_every_seed_of_the_evidence(stem):
    book = BOOKS[stem]
    *_, (space, _, _) = cells_without_training(book)
    others = [load_runs(name) for name in book.compared_with]
    runs = [*book.stored(), *load_study("float32").get(book.network, [])]  # those of stages 1 and 4 are in float32
    assert runs
    for run, *rest in zip(runs, *(cycled(other, len(runs)) for other in others), strict=True):
        assert not [claim.verdict(run) for claim in space["TARGET"] if not claim.as_expected(run)], f"seed {run.seed}"
        for claim in (*space["ANALYSIS"], *space["PREDICTIONS"]):
            given = (run, *rest)[: given_to_predictions(book)] if claim.fails else (run, *rest)
            assert claim.as_expected(*given), f"seed {run.seed}: {claim.verdict(*given)}"


def given_to_predictions(book):
    """How many runs the notebook gives its predictions."""
    (call,) = calls(cell_with(book.code, "judge(PREDICTIONS"), "judge")
    return len(call.args) - 1


def cycled(runs, count):
    return [runs[i % len(runs)] for i in range(count)]
