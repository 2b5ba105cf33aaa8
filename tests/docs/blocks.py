"""The blocks of the pages, and which of them are commands."""

import re
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).parents[2]
PAGES = (TOP / "README.md", TOP / "CONTRIBUTING.md", TOP / "SECURITY.md", *sorted((TOP / "docs").rglob("*.md")))
COMMANDS = ("sh", "console")
"""``sh``: run as it stands there; ``console``: lines with ``$`` are run, and what follows them is what they print."""
OTHERS = ("text", "yaml", "toml", "ini", "json", "python", "diff", "promql", "{toctree}")

_BLOCK = re.compile(
    r"(?:^[ ]*<!-- (?P<mark>[^\n]*?) -->\n)?"
    r"^(?P<indent>[ ]*)```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A fenced block of a page; ``mark`` is the comment in the line before it."""

    page: Path
    line: int
    mark: str
    language: str
    text: str

    @property
    def place(self):
        return f"{self.page.relative_to(TOP)}:{self.line}"

    @property
    def is_run(self):
        """Here, on the simulated node."""
        return self.language in COMMANDS and not self.mark


def blocks_of(page):
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        lines = found["text"].splitlines(keepends=True)
        unindented = "".join(line.removeprefix(found["indent"]) for line in lines)
        line = text.count("\n", 0, found.start("language")) + 1
        yield Block(page, line, found["mark"] or "", found["language"], unindented)
