"""Trees of untrusted text: what they are made of, how they are built within limits, how a place is told."""

from dataclasses import dataclass, field
from itertools import chain
from typing import TypeAlias

from mcd_rt.errors import ConfigInvalid

Tree: TypeAlias = "bool | int | float | str | list[Tree] | dict[str, Tree] | None"
KeyPath: TypeAlias = tuple[str | int, ...]

MAX_DEPTH = 100
MAX_REPEATED = 1 << 20  # characters and values that all aliases together repeat

BOOLEANS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}  # YAML 1.1's
CUT_OFF = "the file seems to be cut off: write it again, whole"


def describe(value: Tree) -> str:
    """A value in a message: what it is, and as much of it as fits."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value:.15g}" if abs(value) < 1 << 63 else "a very large number"
        case str():
            return repr(value) if len(value) <= 60 else f"{value[:57]!r}..."
        case list():
            return "a list"
        case dict():
            return "a mapping"


def spell(path: KeyPath) -> str:
    """A path in a message: ``spec.kernelArguments[2]``."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{shown_key(step)}" for step in path)
    return "".join(steps).removeprefix(".") or "the document"


def locate(source: str, line: int | None, column: int | None) -> str:
    """``file:line:column``, as compilers write it: how the message of every ``ConfigInvalid`` begins."""
    return source if line is None else f"{source}:{line}:{column}"


def shown_key(key: str) -> str:
    """A key in a message: as it is, or quoted and cut where it would not be readable."""
    return key if key and key.isprintable() and len(key) <= 60 else describe(key)


def invalid_at(source: str, what: str, hint: str = "", at: tuple[int, int] | None = None) -> ConfigInvalid:
    """The error about a place (line and column) in a file."""
    line, column = at or (None, None)
    return ConfigInvalid(f"{locate(source, line, column)}: {what}", hint, line=line, column=column)


def place_of(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, counted from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def expect_mapping(tree: Tree, text: str, source: str) -> dict[str, Tree]:
    """The tree, which must be a mapping; raises ``ConfigInvalid``."""
    if isinstance(tree, dict):
        return tree
    found = describe(tree) if tree is not None else "nothing"
    place = place_of(text, len(text) - len(text.lstrip()))
    raise invalid_at(source, f"found {found}, expected a mapping, which a MachineConfig is", "", place)


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end is yet to come; ``weight`` is how much an alias of it repeats."""

    value: dict[str, Tree] | list[Tree]
    anchor: str | None
    weight: int = 1
    key: str | None = None  # the key whose value is awaited
    keys: dict[str, int] = field(default_factory=dict)
    merging: bool = False
    merged: list[dict[str, Tree]] = field(default_factory=list)

    @property
    def step(self) -> str | int | None:
        return len(self.value) if isinstance(self.value, list) else self.key


class TreeBuilder:
    """Builds ``root`` from what a parser meets, in one pass, checking every limit on the way.

    With ``wanted`` it also leaves in ``found`` the offset of the value at that path, or of what is around it.
    """

    def __init__(self, text: str, source: str, wanted: KeyPath | None = None) -> None:
        self.text = text
        self.root: Tree = None
        self.found = 0
        self._source = source
        self._wanted = wanted
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Tree, int] | None] = {}  # None: the anchored value is still open
        self._repeated = 0
        self._documents = 0

    def invalid(self, what: str, offset: int, hint: str = "") -> ConfigInvalid:
        """The error about what stands at ``offset``."""
        return invalid_at(self._source, what, hint, place_of(self.text, offset))

    def too_deep(self, offset: int) -> ConfigInvalid:
        """The error about nesting that no MachineConfig has."""
        what = f"found nesting deeper than {MAX_DEPTH} levels, expected a MachineConfig, which needs about ten"
        return self.invalid(what, offset)

    def document(self, offset: int) -> None:
        """A document begins."""
        self._documents += 1
        if self._documents > 1:
            raise self.invalid("found a second document, expected one", offset)

    def start(self, value: dict[str, Tree] | list[Tree], offset: int, anchor: str | None = None) -> None:
        """A mapping or a list begins."""
        if self.awaits_key():
            raise self.invalid(f"found {describe(value)} as a key, expected text", offset)
        if len(self._open) == MAX_DEPTH:
            raise self.too_deep(offset)
        self._note(offset)
        self._open.append(_Open(value, anchor))
        if anchor:
            self._anchors[anchor] = None

    def end(self) -> None:
        """The innermost mapping or list ends."""
        done = self._open.pop()
        if isinstance(done.value, dict):
            for key, value in chain.from_iterable(mapping.items() for mapping in done.merged):
                done.value.setdefault(key, value)
        self._add(done.value, done.weight, done.anchor)

    def awaits_key(self) -> bool:
        """Whether what comes next is the key of a mapping."""
        return bool(self._open) and self._open[-1].step is None

    def key(self, key: str, offset: int, anchor: str | None = None, *, merge: bool = False) -> None:
        """A key, or with ``merge`` the ``<<`` that merges other mappings."""
        top = self._open[-1]
        top.key, top.merging, top.weight = key, merge, top.weight + len(key)
        if key in top.keys:
            line, _ = place_of(self.text, top.keys[key])
            what = f"{spell(self._path())}: found the key twice, first in line {line}, expected it once"
            raise self.invalid(what, offset, "keep one of them")
        top.keys[key] = offset
        if anchor:
            self._anchors[anchor] = key, len(key)

    def scalar(self, value: Tree, offset: int, weight: int = 1, anchor: str | None = None) -> None:
        """A text, number, boolean or null."""
        self._note(offset)
        self._add(value, weight, anchor)

    def not_finite(self, offset: int) -> ConfigInvalid:
        """The error about NaN and its like as the value that is awaited."""
        return self.invalid(f"{spell(self._path())}: found NaN or infinity, expected a number JSON can express", offset)

    def alias(self, name: str, offset: int) -> None:
        """A value again that had an anchor."""
        if name not in self._anchors:
            raise self.invalid(f"found the alias *{shown_key(name)}, expected its anchor before it", offset)
        if (anchored := self._anchors[name]) is None:
            raise self.invalid(
                f"found the alias *{shown_key(name)} inside what it stands for, expected no recursion", offset
            )
        value, weight = anchored
        self._repeated += weight
        if self._repeated > MAX_REPEATED:
            what = f"found aliases that repeat more than {MAX_REPEATED:,} characters and values, expected fewer"
            raise self.invalid(what, offset, "write the values out")
        if not self.awaits_key():
            self.scalar(value, offset, weight)
        elif isinstance(value, str):
            self.key(value, offset)
        else:
            raise self.invalid(f"found {describe(value)} as a key, expected text", offset)

    def _path(self) -> KeyPath:
        return tuple(step for scope in self._open if (step := scope.step) is not None)

    def _note(self, offset: int) -> None:
        if self._wanted is not None and (path := self._path()) == self._wanted[: len(path)]:
            self.found = offset

    def _add(self, value: Tree, weight: int, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = value, weight
        if not self._open:
            self.root = value
            return
        top = self._open[-1]
        top.weight += weight
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.key is not None:
            if top.merging:
                top.merged += self._mergeable(value, top.keys[top.key])
            else:
                top.value[top.key] = value
            top.key = None

    def _mergeable(self, value: Tree, offset: int) -> list[dict[str, Tree]]:
        values = value if isinstance(value, list) else [value]
        mappings = [item for item in values if isinstance(item, dict)]
        if len(mappings) != len(values):
            raise self.invalid(f"found {describe(value)} to merge, expected a mapping or a list of mappings", offset)
        return mappings
