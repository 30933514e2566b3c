"""The file of a study: runs in order, of one format, and of the course's own studies as they are today."""

import json
from dataclasses import replace

import pytest

from mnist_drill import data
from mnist_drill.errors import DrillError
from mnist_drill.evidence import stored
from mnist_drill.evidence.stored import FOLDER, load_runs, load_study, store
from mnist_drill.evidence.studies import STUDIES
from mnist_drill.networks import definition, parameter_count
from mnist_drill.runs import FORMAT, Run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder in place of that of the evidence."""
    monkeypatch.setattr(stored, "FOLDER", tmp_path)
    return tmp_path


def runs_of_the_course(name):
    """Those of the evidence, also where `folder` stands in its place."""
    return [Run.from_dict(values) for values in json.loads((FOLDER / f"{name}.json").read_text())["runs"]]


@pytest.fixture(scope="module")
def checksums(mnist):
    """Of the two sets that a study trains and evaluates on, by the name of the second."""
    return {"test": data.checksum(*mnist), "validation": data.checksum(*data.split(mnist[0]))}


@pytest.mark.parametrize("name", STUDIES)
def test_stored_runs_are_of_todays_study(name, checksums):
    study = STUDIES[name]
    assert set(load_study(name)) == set(study.rows)
    for label, runs in load_study(name).items():
        row = study.rows[label]
        network = row.network.build(0)
        given = row.recipe, definition(network), checksums[study.evaluated_on], study.evaluated_on
        assert all(run.repeats(*given) for run in runs), f"python -m mnist_drill evidence {name}"
        assert all(run.parameters == parameter_count(network) for run in runs)
        assert [run.seed for run in runs] == list(range(1, len(runs) + 1))
        assert len(runs) >= len(study.seeds), f"python -m mnist_drill evidence {name}"


@pytest.mark.parametrize("name", STUDIES)
def test_a_stored_study_is_plain_data_that_others_can_read(name):
    content = json.loads((FOLDER / f"{name}.json").read_text())
    assert content["format"] == FORMAT
    for run in content["runs"]:
        assert {"name", "parameters", "seed", "epochs"} <= set(run)
        assert all("test_accuracy" in row for row in run["epochs"])


def test_runs_are_stored_by_variant_and_seed_and_replace_their_like(folder):
    runs = runs_of_the_course("stage2")
    assert load_runs("small") == []
    for run in (runs[2], runs[0], runs[1], runs[0]):
        store("small", run, ["stage2"])
    assert load_runs("small") == runs[:3]
    other = replace(runs[3], name="another")
    store("small", other, ["another"])  # runs of rows that the study no longer has are dropped
    assert load_runs("small") == [other]


def test_runs_of_one_recipe_alone(folder):
    runs = runs_of_the_course("schedules")
    recipes = {run.recipe for run in runs}
    for run in runs:
        store("small", run, STUDIES["schedules"].rows)
    assert len(recipes) > 1
    for recipe in recipes:
        assert load_runs("small", recipe) == [run for run in load_runs("small") if run.recipe == recipe]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["runs"],
        lambda content: [],
        lambda content: content | {"format": 1},
        lambda content: content | {"format": FORMAT + 1},
        lambda content: {"runs": content["runs"]},
    ],
    ids=["a bare list", "an empty list", "an earlier format", "a later format", "no format"],
)
def test_a_file_of_another_format_is_one_error_that_says_how_to_make_it_again(folder, change):
    content = json.loads((FOLDER / "stage2.json").read_text())
    (folder / "stage2.json").write_text(json.dumps(change(content)))
    with pytest.raises(DrillError, match=r"stage2\.json.*format.*remove it.*`evidence stage2`") as caught:
        load_runs("stage2")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["", "{", "5", f'{{"format": {FORMAT}}}', f'{{"format": {FORMAT}, "runs": [{{}}]}}']
)
def test_another_kind_of_file_is_one_error(folder, content):
    (folder / "stage2.json").write_text(content)
    with pytest.raises(DrillError, match=r"stage2\.json does not hold runs") as caught:
        load_runs("stage2")
    assert "\n" not in str(caught.value)
