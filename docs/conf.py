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


def own_arguments(cls: type) -> dict[str, str]:
    """Return the arguments of a class that it or our own bases document, each with its text in the docstring."""
    bases = [base for base in cls.__mro__ if base.__module__.startswith("airflow_ml_provider")]
    found = (match for base in bases for match in PARAM.finditer(inspect.cleandoc(base.__doc__ or "")))
    texts: dict[str, str] = {}
    for match in found:
        texts.setdefault(match[1], match[0].rstrip())
    return texts


def complete_docstring(app, what, name, obj, options, lines) -> None:
    """Add inherited arguments to a class's docstring; keep one line of a module's, whose rest is for contributors."""
    if what == "module":
        del lines[1:]
    if what != "class":
        return
    known = set(PARAM.findall("\n".join(lines)))
    inherited = [text for argument, text in own_arguments(obj).items() if argument not in known]
    while lines and not lines[-1]:
        lines.pop()
    lines += [*([] if known else [""]), *"\n".join(inherited).split("\n"), ""]


def shorten_signature(app, what, name, obj, options, signature, return_annotation) -> tuple[str | None, str | None]:
    """Leave Airflow's own arguments out of the signature of a class, as each operator and sensor has dozens of them."""
    if what != "class" or not (own := own_arguments(obj)):
        return signature, return_annotation
    whole = inspect.signature(obj)
    kept = [
        argument.replace(annotation=inspect.Parameter.empty)
        for argument in whole.parameters.values()
        if argument.name in own
    ]
    if len(kept) < len(whole.parameters):
        kept.append(inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD))
    return str(inspect.Signature(kept)), None


def only_the_hooks_methods(app, what, name, obj, skip, options) -> bool:
    """Leave out helpers, and what Airflow calls of operators, sensors and triggers: users pass arguments alone."""
    if what == "module":
        return skip or not name.startswith("MachineLearning")
    return skip or (what == "class" and not getattr(obj, "__module__", "").startswith("airflow_ml_provider.hooks"))


def setup(app) -> None:
    """Connect the functions above."""
    app.add_lexer("requirements", TextLexer)
    app.connect("source-read", add_navigation)
    app.connect("autodoc-process-docstring", complete_docstring)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("autodoc-skip-member", only_the_hooks_methods)
