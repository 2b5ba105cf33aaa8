"""What the codes mean, in words for people: read from ``codes.toml`` only by who asks for them."""

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files

from mcd_rt.errors import Code
from mcd_rt.frozen import frozen


@frozen
class CodeText:
    """One code: what it ``means``, what it is easily mistaken for, what happens ``then``, what a person can do.

    ``group`` is the heading it stands under. Commands and names are between backquotes; steps may have links to pages.
    """

    code: Code
    group: str
    means: str
    means_not: str
    then: str
    steps: tuple[str, ...]


def without_links(step: str) -> str:
    """A step for where no link can be followed: each page by its name."""
    return re.sub(r"\[([^]]+)\]\(([^)]+)\)", r"docs/\2", step)


def load_texts() -> Mapping[Code, CodeText]:
    """The texts of all codes, in the order of the page; raises ``KeyError`` or ``ValueError`` where one is missing."""
    groups = tomllib.loads(files("mcd_rt.report").joinpath("codes.toml").read_text(encoding="utf-8"))
    texts = {
        Code(name): CodeText(Code(name), group, text["means"], text["not"], text["then"], tuple(text["do"]))
        for group, entries in groups.items()
        for name, text in entries.items()
    }
    missing = [code.value for code in Code if code not in texts]
    if missing:
        raise KeyError(f"codes.toml has no text for {', '.join(missing)}")
    return texts
