"""Sphinx's settings. The sources are the repository's Markdown files where they are: README.md is the front page."""

from __future__ import annotations

import inspect
import os
import re
import tempfile
from importlib import metadata

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-")  # autodoc imports Airflow, which writes there

from pygments.lexers.special import TextLexer

project = "airflow-ml-provider"
author = "The airflow-ml-provider authors"
release = metadata.version(project)

extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/*/*.md"]
exclude_patterns = ["**/.*", ".venv*", "build", "dist", "**/build", "**/dist"]
myst_heading_anchors = 3
# Links to the repository's other files, as dags/, lead out of the site; tests/test_docs.py holds them.
suppress_warnings = ["myst.xref_missing"]

html_theme = "furo"
html_title = f"airflow-ml-provider {release}"
html_extra_path = ["site"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"

# Page → what is below it. Readers of the repository do not need these lists.
NAVIGATION = {
    "README": (
        "docs/tutorial",
        "docs/installing",
        "docs/howto/README",
        "docs/operators",
        "docs/reference",
        "docs/testing",
        "docs/*",
        "CHANGELOG",
        "CONTRIBUTING",
    ),
    "docs/howto/README": ("/docs/howto/*",),
}
PARAM = re.compile(r"^:param (\w+): (?:.*\n?)(?:    .*\n?)*", re.MULTILINE)


def add_navigation(app, docname, source) -> None:
    """Add the table of contents to a page that has one."""
    if docname in NAVIGATION:
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n" + "\n".join(NAVIGATION[docname]) + "\n```\n"


def add_inherited_arguments(app, what, name, obj, options, lines) -> None:
    """Add the arguments that a class takes from our own bases to its docstring."""
    if what != "class":
        return
    known = set(PARAM.findall("\n".join(lines)))
    inherited = []
    for base in obj.__mro__[1:]:
        if base.__module__.startswith("airflow_ml_provider"):
            for found in PARAM.finditer(inspect.cleandoc(base.__doc__ or "")):
                if found[1] not in known:
                    known.add(found[1])
                    inherited += found[0].rstrip().split("\n")
    while lines and not lines[-1]:
        lines.pop()
    lines += [*([] if known_here(lines) else [""]), *inherited, ""]


def known_here(lines: list[str]) -> bool:
    """Return whether a docstring has a list of arguments already."""
    return any(line.startswith(":param") for line in lines)


def only_the_hooks_methods(app, what, name, obj, skip, options) -> bool:
    """Leave out what Airflow calls of operators, sensors and triggers: their arguments are their interface."""
    return skip or (what == "class" and not getattr(obj, "__module__", "").startswith("airflow_ml_provider.hooks"))


def setup(app) -> None:
    """Connect the functions above."""
    app.add_lexer("requirements", TextLexer)
    app.connect("source-read", add_navigation)
    app.connect("autodoc-process-docstring", add_inherited_arguments)
    app.connect("autodoc-skip-member", only_the_hooks_methods)
