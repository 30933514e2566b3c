"""README and docs as a reader finds them: short, and everything that they name is there."""

import importlib
import re

import pytest
import torch

from mnist_drill import __version__
from mnist_drill.course.notebooks import ROOT
from mnist_drill.evidence.stored import load_runs
from mnist_drill.judge.report import PASSED
from mnist_drill.runs import Run
from mnist_drill.study.file import read_study
from mnist_drill.study.plan import identities
from mnist_drill.train import predict

PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", *ROOT.glob("docs/*.md"), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md")
    if path.exists()
)
# What the course's commands write, and where they write it.
PRODUCTS = ("runs/", "build/", "data/", "results/", "photos/", "OUT/", "MNIST/raw", "~/", ".venv")
FILE = re.compile(r"[\w.~-]*/[\w./*~-]*|[\w-]+\.(?:py|md|ipynb|toml|yml|cff|xlsx)")


def text_of(page):
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.M | re.S)


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_to_a_file(page):
    links = re.findall(r"\]\(((?!https?:)[^)#\s]+)\)", text_of(page))
    missing = [link for link in links if not ((ROOT / page).parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_path_in_backticks_exists(page):
    named = [word for word in re.findall(r"`([^`\n]+)`", text_of(page)) if FILE.fullmatch(word)]
    named = [word for word in named if not word.startswith(PRODUCTS)]
    folders = (ROOT, ROOT / "mnist_drill", (ROOT / page).parent)
    assert [word for word in named if not any((folder / word).exists() for folder in folders)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_name_of_the_package_in_backticks_exists(page):
    for name in re.findall(r"`mnist_drill\.([\w.]+)", text_of(page)):
        parts = name.split(".")
        for length in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(["mnist_drill", *parts[:length]]))
            except ModuleNotFoundError:
                continue
            for part in parts[length:]:
                found = getattr(found, part)
            break
        else:
            pytest.fail(f"mnist_drill.{name}")


@pytest.mark.parametrize("number", range(2))
def test_every_study_that_is_shown_is_valid(number, tmp_path):
    block = re.findall(r"^```toml\n(.*?)^```$", (ROOT / "docs/studies.md").read_text(), re.M | re.S)[number]
    path = tmp_path / "study.toml"
    path.write_text(block)
    study = read_study(path)
    assert len(identities(study, checksum="")) >= 3


def blocks_of_python(page):
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)


def test_the_library_is_used_as_its_page_shows(tmp_path, monkeypatch, capsys):
    """All blocks of the page, one after the other, on the real images."""
    monkeypatch.chdir(tmp_path)
    found = {}
    for code in blocks_of_python("docs/python.md"):
        exec(compile(code, "docs/python.md", "exec"), found)
    said = capsys.readouterr().out
    assert re.search(r"^total .* 9,856 ", said, re.M)  # of the table of receptive fields
    assert found["run"].last.test_accuracy == found["score"].accuracy > 80
    assert Run.load("sprint.json").evaluated_on == "validation"
    assert found["name"] == "sprint"
    assert torch.equal(found["logits"], predict(found["model"], found["test_set"][:10]))
    assert found["mine_run"].parameters == sum(p.numel() for p in found["mine"].parameters()) < 10_000
    assert f"{found['mine_run'].parameters} 28 " in said  # the whole image
    printed = re.findall(r"^(\d+) b?float\d+ ", said, re.M)
    assert [str(run.seed) for run in load_runs("stage4")] == printed


def test_the_judge_is_called_as_its_page_shows(tmp_path, monkeypatch, capsys):
    network, *_, call = blocks_of_python("docs/judge.md")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(network)
    found = {}
    exec(compile(call, "docs/judge.md", "exec"), found)
    assert found["report"].verdict == PASSED
    assert f"{found['report'].parameters.counted:,} parameters" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_one(page):
    from mnist_drill.cli import COMMANDS

    text = (ROOT / page).read_text()
    called = re.findall(r"(?:mnist-drill|python -m mnist_drill) ([a-z]+)", text)
    assert set(called) <= set(COMMANDS)


def test_the_readme_is_short_and_says_first_how_to_start():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 120
    assert any(line.endswith("pip install -e .") for line in lines[:25])
    assert "jupyter lab notebooks" in lines[:25]


def test_every_page_is_listed_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text()
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"]({path.name})" in index


def test_images_have_an_alternative_text():
    texts = [text for page in PAGES for text in re.findall(r"!\[([^\]]*)\]\(docs", (ROOT / page).read_text())]
    assert texts
    assert all(len(text) > 40 for text in texts)


def test_citation_changelog_and_license_are_of_this_version():
    citation = dict(re.findall(r"^([\w-]+): *(.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert (citation["version"], citation["license"]) == (__version__, "MIT")
    first = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert first[1] == __version__
    assert '\nlicense = "MIT"\n' in (ROOT / "pyproject.toml").read_text()
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
