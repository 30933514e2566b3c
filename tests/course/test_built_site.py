"""The site as it is built: complete, whole in its links, free of other hosts, and accessible."""

import importlib.resources
import threading
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from mnist_drill.course import site
from mnist_drill.course.notebooks import ROOT, every_notebook
from tests.inside import browser

pytestmark = pytest.mark.slow
# One of each kind: the front page, a notebook, a guide, the blocks, the API.
KINDS = ("index.html", "notebooks/01_setup.html", "docs/evidence.html", "docs/blocks.html",
         "docs/api/mnist_drill.training.html")  # fmt: skip
LOADED = {"img": "src", "script": "src", "iframe": "src", "link": "href", "source": "srcset", "video": "src"}


class Page(HTMLParser):
    """The anchors, links, loaded files and alternative texts of a page."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loaded, self.alternatives = set(), [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors.add(values.get("id"))
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if values.get(LOADED.get(tag)) and values.get("rel") not in ("next", "prev", "search", "index", "canonical"):
            self.loaded.append(values[LOADED[tag]])
        if tag == "img":
            self.alternatives.append(values.get("alt") or "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The site, built from this clone with every warning an error."""
    for name in site.NEEDS:
        pytest.importorskip(name, reason="the site's packages are not installed: pip install -e '.[site]'")
    folder = tmp_path_factory.mktemp("site")
    site.build(folder)
    return folder


@pytest.fixture(scope="module")
def pages(folder):
    found = {str(path.relative_to(folder)): Page(path) for path in folder.rglob("*.html")}
    return {name: page for name, page in found.items() if not name.startswith("_static/")}


@pytest.fixture(scope="module")
def address(folder):
    server = site.serve(folder, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    started = browser.start(tmp_path_factory.mktemp("profile"))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def axe():
    """axe-core, which finds faults of accessibility, as a script."""
    pytest.importorskip("axe_core_python", reason="axe-core is not installed: pip install axe-core-python")
    return (importlib.resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")


def test_it_has_a_page_for_each_notebook_each_page_of_the_docs_and_each_module(pages, folder):
    wanted = {f"notebooks/{book.path.stem}.html" for book in every_notebook()}
    wanted |= {f"docs/{path.stem}.html" for path in ROOT.glob("docs/*.md")} | {"README.html", "index.html"}
    assert wanted <= pages.keys()
    documented = "".join(path.read_text() for path in (folder / "docs" / "api").glob("*.html"))
    modules = [path for path in (ROOT / "mnist_drill").rglob("[!_]*.py") if path.parent.name != "cli"]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules]
    assert [name for name in names if f'id="module-{name}"' not in documented] == []


def test_every_link_within_it_leads_to_a_page_and_an_anchor_that_are_there(pages, folder):
    broken = []
    for name, page in pages.items():
        for link in page.links + page.loaded:
            target = urlsplit(urljoin(f"http://site/{name}", link))
            path = unquote(target.path).lstrip("/")
            if urlsplit(link).scheme:
                continue
            there = (folder / path).is_file()
            if target.fragment and path in pages:
                there = unquote(target.fragment) in pages[path].anchors
            if not there:
                broken.append(f"{name}: {link}")
    assert broken == []


def test_every_page_can_be_reached_from_the_front_page(pages):
    reached, waiting = set(), ["index.html"]
    while waiting:
        name = waiting.pop()
        if name in pages and name not in reached:
            reached.add(name)
            waiting += [urlsplit(urljoin(f"http://site/{name}", link)).path.lstrip("/") for link in pages[name].links]
    assert pages.keys() - reached <= {"search.html", "genindex.html"}


def test_figures_have_alternative_texts(pages):
    for name, page in pages.items():
        assert all(len(text) >= 20 and not text.endswith((".png", ".svg")) for text in page.alternatives), name
    assert len(pages["notebooks/01_setup.html"].alternatives) >= 5


def test_tables_and_formulas_of_the_notebooks_are_rendered(folder):
    text = (folder / "notebooks" / "01_setup.html").read_text()
    assert "<table" in text and "| --- |" not in text
    assert "<math" in text and "$$" not in text


def test_no_page_loads_anything_from_another_host(pages, address, driver):
    browser.requests(driver)
    for name in pages:
        driver.get(address + name)
        browser.frames(driver)
    requested = {url.partition("?")[0].partition("#")[0] for url in browser.requests(driver)}
    assert {address + name for name in pages} <= requested
    own = (address, "data:", "blob:", "chrome:")  # the browser's own empty page is of the last kind
    assert [url for url in requested if not url.startswith(own)] == []


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["desktop, light", "phone, dark"])
@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_no_serious_fault_and_no_page_is_wider_than_the_screen(name, width, dark, address, driver, axe):
    browser.emulate(driver, width, dark=dark)
    driver.get(address + name)
    driver.execute_script(axe)
    driver.set_script_timeout(300)
    found = driver.execute_async_script("axe.run({ resultTypes: ['violations'] }).then(arguments[0])")
    assert len(found["passes"]) > 10, "axe has looked at the page"
    serious = [
        (fault["id"], [node["html"][:200] for node in fault["nodes"][:3]])
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
