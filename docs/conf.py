"""How the pages become a site: `tox -e docs`. Nothing is loaded from elsewhere, neither to build it nor to read it."""

import logging

project = "mcd-rt"
copyright = "the makers of mcd-rt, Apache-2.0"  # noqa: A001 - the name is Sphinx's
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "mcd-rt"
html_copy_source = False
html_show_sphinx = False

myst_heading_anchors = 3
"""A link to a heading is checked; deeper ones have none."""

nitpicky = True


def _is_more_than_an_empty_section(record: logging.LogRecord) -> bool:
    return "didn't match any documents" not in str(record.msg)


# A section may name pages by a pattern before there is one; a page that no section names is an error.
logging.getLogger("sphinx.sphinx.directives.other").addFilter(_is_more_than_an_empty_section)
