"""The little Markdown that our pages are written in: what the manual needs of it, and what is made for them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_CELL = re.compile(r"(?<!\\)\|")


class Row(NamedTuple):
    """A line of a table: the thing it is about, and the cells after it."""

    name: str
    cells: tuple[str, ...]


def rows_below(page: Path, heading: str) -> list[Row]:
    """The first table after a heading (`## Files`, or `#` and the title); raises ``ValueError`` where there is none."""
    _, found, rest = page.read_text().partition(f"{heading}\n")
    lines = iter(rest.splitlines())
    table = list(_first_table(lines)) if found else []
    if not table:
        raise ValueError(f"{page}: no table below {heading!r}")
    return [Row(cells[0], tuple(cells[1:])) for cells in map(_cells, table[2:])]


def paragraphs_of(page: Path, heading: str) -> list[str]:
    """The text between a heading and whatever comes next that is no text, a paragraph each."""
    _, _, rest = page.read_text().partition(f"{heading}\n")
    text = re.split(r"^(?:[|#<>-]|```|\d\.)", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return [" ".join(each.split()) for each in text.split("\n\n") if each.strip()]


def escaped(text: str) -> str:
    """Plain text with `code` in it, so that nothing else in it is taken for Markdown."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*_<>\[\]|\\])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def _first_table(lines: Iterator[str]) -> Iterator[str]:
    started = False
    for line in lines:
        if line.startswith("|"):
            started = True
            yield line
        elif started or line.startswith("#"):
            return


def _cells(line: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in _CELL.split(line)[1:-1]]
