"""The page as files: small, whole, and without a word of another host."""

import json
import re

import pytest

from mnist_drill.course.notebooks import notebooks
from mnist_drill.errors import DrillError
from mnist_drill.inside import page, trained
from mnist_drill.stages import STAGES


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return page.write_page(tmp_path_factory.mktemp("page"), {"The <course>": 'a"b.html'})


def values_in(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="drill-page">(.*?)</script>', text, re.S)[1])


def test_it_is_a_document_and_a_script_for_each_stage(written):
    index, *scripts = written
    assert index.name == "index.html"
    assert [path.stem for path in scripts] == trained.names()
    networks = values_in(index)["networks"]
    for network, name in zip(networks, trained.names(), strict=True):
        assert network["parameters"] == STAGES[name].parameters
        assert (index.parent / network["source"]).is_file()
        assert [row["accuracy"] for row in network["epochs"]] == [
            row.test_accuracy for row in trained.load(name)[0].epochs
        ]


def test_module_and_small_stages_take_less_than_2_megabytes(written):
    index, *scripts = written
    small = [path for path in scripts if STAGES[path.stem].parameters < 10_000]
    assert sum(path.stat().st_size for path in [index, *small]) < 2_000_000


def test_it_names_no_other_host(written):
    for path in written:
        addresses = re.findall(r"(?:https?:)?//[\w-]+\.[\w.-]+", path.read_text(encoding="utf-8"))
        assert set(addresses) <= {"http://www.w3.org"}, path  # the name of SVG, which nothing is loaded from


def test_titles_are_those_of_the_notebooks_and_without_them_of_their_files(monkeypatch, tmp_path):
    assert [page.title_of(name) for name in STAGES] == [book.title() for book in notebooks()]
    monkeypatch.setattr(page, "notebooks", lambda: notebooks(tmp_path))
    assert page.title_of("stage2") == "2 · Parameter reduction"


def test_links_are_text(written):
    text = written[0].read_text(encoding="utf-8")
    assert '<a href="a&quot;b.html">The &lt;course&gt;</a>' in text


def test_the_module_has_one_export_and_imports_nothing():
    text = page.module()
    assert re.findall(r"^export .*", text, re.M) == ["export function render({ model, el }) {"]
    assert not re.search(r"^\s*import\b|\bimport\(|\bfetch\(|XMLHttpRequest", text, re.M)
    assert "</script" not in text
    assert page.MODULES[-1] == "inside.js"
    assert {path.name for path in page.FOLDER.glob("*.js")} == set(page.MODULES)


def test_sources_are_short():
    for path in page.FOLDER.glob("*.js"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 300, path
        assert max(map(len, lines)) <= 120, path


def test_a_page_without_a_trained_stage_or_a_folder_is_one_line(tmp_path):
    with pytest.raises(DrillError, match="holds no trained stage"):
        page.write_page(tmp_path / "out", stored=tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DrillError, match="cannot write to folder"):
        page.write_page(tmp_path / "file" / "out")


def test_a_page_of_something_else_is_not_written_over(tmp_path):
    (tmp_path / "index.html").write_text("<h1>My own</h1>")
    with pytest.raises(DrillError, match=r"index\.html is another page"):
        page.write_page(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    (tmp_path / "index.html").unlink()
    assert page.write_page(tmp_path) == page.write_page(tmp_path)
