"""How Sphinx builds the site; `mnist-drill site` calls it.

Its sources are the clone as it lies, so that links from page to page work on GitHub and on the site.
"""

import math
import re
import sys
from pathlib import Path

import latex2mathml.converter
from docutils import nodes
from sphinx.ext import apidoc

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mnist_drill import __version__  # noqa: E402
from mnist_drill.course.notebooks import notebooks  # noqa: E402
from mnist_drill.course.tables import percent  # noqa: E402
from mnist_drill.evidence.stored import load_runs  # noqa: E402
from mnist_drill.inside.page import write_page  # noqa: E402
from mnist_drill.stages import STAGES  # noqa: E402

project = "MNIST Drill"
release = version = __version__
root_doc = "docs/README"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**", "notebooks/**"]
# Folders that Sphinx need not look through.
exclude_patterns = ["**/.*", ".*", "build", "data", "mnist_drill", "mlruns", "runs", "tests"]
extensions = ["myst_nb", "sphinx.ext.autodoc"]

# Notebooks are shown as they are stored, and nothing is loaded from elsewhere.
nb_execution_mode = "off"
nb_custom_formats = {".ipynb": "mnist_drill.course.site.read_notebook"}
nb_merge_streams = True
nb_render_markdown_format = "gfm"
nb_ipywidgets_js = {}
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

# Docstrings are prose in which backticks mark names and code.
default_role = "py:obj"
suppress_warnings = ["ref.python"]  # two classes of one name, in different folders
autodoc_default_options = {"members": True, "undoc-members": True}
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
add_module_names = False  # the heading above names the module
autodoc_preserve_defaults = True
autodoc_mock_imports = ["mlflow", "optuna", "ray"]

html_theme = "sphinx_book_theme"
html_title = "MNIST Drill"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sourcelink_suffix = ""
html_domain_indices = False
html_show_copyright = False
html_math_renderer = "mathml"
html_theme_options = {"navbar_persistent": [], "use_fullscreen_button": False, "footer_content_items": []}


def write_api_pages(app):
    """A page for each folder of the package, with all its modules."""
    package = ROOT / "mnist_drill"
    left_out = [str(package / "cli"), str(package / "__main__.py")]
    options = ["-q", "--force", "--no-toc", "--module-first", "--templatedir", str(ROOT / "docs" / "_templates")]
    apidoc.main([*options, "-o", str(ROOT / "docs" / "api"), str(package), *left_out])


def add_tables_of_contents(app, docname, source):
    """The navigation: the list in docs/README.md, which names every page; the notebooks; the API."""
    if docname != root_doc:
        return
    _, *groups = re.split(r"^\*\*(.+)\*\*$", source[0], flags=re.M)
    listed = {name: re.findall(r"\]\((\S+)\.md\)", text) for name, text in zip(groups[::2], groups[1::2], strict=True)}
    course, *guides = listed
    tables = {course: ["Quick start <../README>", "/notebooks/[0-9]*", "/notebooks/*", *listed[course]]}
    for folder in sorted(path for path in (ROOT / "notebooks").glob("[!.]*") if path.is_dir()):
        tables[folder.name.replace("_", " ").capitalize()] = [f"/notebooks/{folder.name}/*"]
    tables |= {name: listed[name] for name in guides} | {"API": ["api/mnist_drill", "api/*"]}
    for caption, entries in tables.items():
        source[0] += "\n```{toctree}\n" + f":hidden:\n:glob:\n:caption: {caption}\n\n" + "\n".join(entries) + "\n```\n"


def mathml(display, opening, closing):
    """Formulas become MathML, which browsers draw themselves."""

    def visit(translator, node):
        translator.body += [opening, latex2mathml.converter.convert(node.astext(), display=display), closing]
        raise nodes.SkipNode

    return visit, None


def as_restructured_text(app, what, name, obj, options, lines):
    """An indented block after a colon is code, and letters may follow backticks."""
    text = re.sub(r":\n\n(?=    )", "::\n\n", "\n".join(lines))
    lines[:] = re.sub(r"(`[^`]+`)(\w?)", lambda found: found[1] + (found[2] and "\\ " + found[2]), text).split("\n")


def write_front_page(app, error):
    """The front page is the one that shows a network from inside, with ways on above and below."""
    if error is not None:
        return
    exercises = sorted((ROOT / "notebooks" / "exercises").glob("*.ipynb"))
    ladder = []
    for (name, stage), book in zip(STAGES.items(), notebooks(), strict=True):
        seeds = load_runs(name, stage.recipe)
        lowest = percent(min((run.lowest_of_up_to(5) for run in seeds), default=math.nan))
        ladder.append({"title": book.title(), "page": f"notebooks/{stage.notebook}.html", "lowest": lowest,
                       "last": min(5, stage.recipe.epochs), "parameters": f"{stage.parameters:,}",
                       "seeds": len(seeds)})  # fmt: skip
    ways = {"Course": ladder[0]["page"], "Guides": "docs/README.html", "API": "docs/api/mnist_drill.html"}
    if exercises:
        ways["Exercises"] = f"notebooks/exercises/{exercises[0].stem}.html"
    below = app.builder.templates.render("below.html", {"ladder": ladder, "ways": ways})
    front, *_ = write_page(Path(app.outdir), ways)
    head, _, end = front.read_text(encoding="utf-8").rpartition("</body>")
    front.write_text(f"{head}{below}</body>{end}", encoding="utf-8")


def setup(app):
    block = mathml("block", '<div class="formula" tabindex="0">', "</div>")  # a wide one can be scrolled
    app.add_html_math_renderer("mathml", mathml("inline", "", ""), block)
    app.connect("builder-inited", write_api_pages)
    app.connect("source-read", add_tables_of_contents)
    app.connect("autodoc-process-docstring", as_restructured_text)
    app.connect("build-finished", write_front_page)
