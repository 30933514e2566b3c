"""A study's folder: what is in it, and what is damaged."""

import json
from dataclasses import replace

import pytest

from mnist_drill.errors import DrillError
from mnist_drill.recipes import PLAIN
from mnist_drill.study.folder import Folder
from mnist_drill.study.network import Network
from mnist_drill.study.plan import Row, Study, Task, identities, key_of
from tests.course.runs import RUN

ROWS = {name: Row(Network("stage2"), replace(PLAIN, learning_rate=rate)) for name, rate in (("a", 0.1), ("b", 0.2))}
STUDY = Study(ROWS, (1, 2), baseline="a")


@pytest.fixture
def folder(tmp_path):
    """A folder with the study and one run of it."""
    folder = Folder(tmp_path)
    first, *_ = folder.begin(STUDY, identities(STUDY, "of the data"))
    folder.store(first, replace(RUN, name="a"))
    return folder


def test_what_was_stored_is_there_and_no_longer_missing(folder):
    missing = folder.begin(STUDY, identities(STUDY, "of the data"))
    assert [(task.name, task.seed) for task in missing] == [("b", 1), ("a", 2), ("b", 2)]
    asked = folder.asked()
    assert (list(asked.keys), asked.seeds, asked.baseline) == (["a", "b"], (1, 2), "a")
    assert folder.load(asked) == {"a": [replace(RUN, name="a")], "b": []}


def test_runs_on_other_data_are_others(folder):
    assert len(folder.begin(STUDY, identities(STUDY, "of other data"))) == 4
    assert folder.load(folder.asked()) == {"a": [], "b": []}


def test_runs_of_more_seeds_than_are_asked_for_are_reported(folder):
    folder.store(Task("a", ROWS["a"], 9, "validation"), replace(RUN, seed=9))
    assert [run.seed for run in folder.load(folder.asked())["a"]] == [1, 9]


def test_equal_settings_are_one_recipe_however_they_are_written():
    keys = [
        key_of(identities(Study({"a": Row(Network("stage2"), replace(PLAIN, learning_rate=rate))}, (1,)), "")["a"])
        for rate in (1, 1.0, 1.5)
    ]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', json.dumps({**RUN.to_dict(), "seed": 7})])
def test_a_damaged_run_is_one_line_that_says_what_to_do(folder, content):
    (path,) = folder.runs.iterdir()
    path.write_text(content)
    with pytest.raises(DrillError, match=rf"{path.name} does not hold a run .*remove it, and .* trains it again"):
        folder.load(folder.asked())


@pytest.mark.parametrize(
    "change",
    [lambda content: [], lambda content: {**content, "format": 9}, lambda content: {**content, "baseline": "c"},
     lambda content: {**content, "rows": {"a": {}}}, lambda content: {**content, "seeds": 3},
     lambda content: {**content, "rows": {}, "baseline": ""}],
)  # fmt: skip
def test_a_damaged_description_is_one_line(folder, change):
    folder.description.write_text(json.dumps(change(json.loads(folder.description.read_text()))))
    with pytest.raises(DrillError, match=r"study\.json does not hold a study"):
        folder.asked()


def test_a_folder_without_a_study_says_how_to_begin_one(tmp_path):
    with pytest.raises(DrillError, match=r"holds no study: `study FILE --out"):
        Folder(tmp_path).asked()


def test_other_files_do_not_matter(folder):
    for name in (".tmp", "notes.txt", "x-1.json", f"{folder.keys['a']}-x.json"):
        (folder.runs / name).write_text("?")
    assert [run.seed for run in folder.load(folder.asked())["a"]] == [1]
