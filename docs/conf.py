"""How Sphinx builds the documentation: Markdown pages, and the API from the docstrings."""

from importlib import metadata

from sphinx.application import Sphinx

project = "wellposed"
author = "The wellposed developers"
project_copyright = author
release = metadata.version(project)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath"]
exclude_patterns = ["_build"]
default_role = "code"
suppress_warnings = ["ref.python"]  # H is a property, and the height in every shape

autodoc_typehints = "none"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"wellposed {release}"


def escape_formulas(_app: Sphinx, _what: str, _name: str, _thing: object, _options: object, lines: list[str]) -> None:
    """Keep the star of (B, *image_shape) and the bars of |<x, y>| from being read as markup."""
    lines[:] = [line.replace(", *", r", \*").replace("|<", r"\|<").replace("**params", r"\*\*params") for line in lines]


def setup(app: Sphinx) -> None:
    """Run before napoleon reads the docstrings."""
    app.connect("autodoc-process-docstring", escape_formulas, priority=100)
