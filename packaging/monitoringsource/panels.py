"""What a panel is, whatever Grafana makes of it: the tables of fleet.py and node.py are made of these."""

from dataclasses import dataclass
from enum import Enum


class Form(Enum):
    """How a panel looks."""

    NUMBER = "number"
    WORD = "word"  # the labels of what is found
    CURVES = "curves"
    STACK = "stack"
    TIMELINE = "timeline"
    TABLE = "table"


@dataclass(frozen=True)
class Panel:
    """One panel: `queries` are pairs of an expression and how its series are named.

    `bad` is the number from which on it is red; `width` is of 24.
    """

    title: str
    form: Form
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    about: str = ""
    width: int = 8
    bad: float | None = None


def panel(title: str, form: Form, *queries: tuple[str, str], **more: object) -> Panel:
    """A panel, its queries one by one."""
    return Panel(title, form, queries, **more)  # type: ignore[arg-type]


def number(title: str, query: str, **more: object) -> Panel:
    """A single number."""
    return panel(title, Form.NUMBER, (query, ""), **({"width": 4} | more))


Rows = tuple[tuple[str, tuple[Panel, ...]], ...]
"""A dashboard: titles of rows, and the panels in each."""
