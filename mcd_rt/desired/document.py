"""Untrusted YAML or JSON text → a plain tree with typed getters, or an error that says where.

Which format it is, the content decides: a text that starts like a JSON object (``{``, then ``"`` or ``}``) is
JSON, any other is YAML. The name helps twice: ``*.json`` is always JSON, and what ``*.yaml`` or ``*.yml`` holds
may start like JSON and be YAML after all, so it is refused only if it is neither.

JSON is read by the json module, YAML from libyaml's events without recursion: no text overflows a stack or grows
beyond a bound by aliases. Scalars resolve as in YAML 1.1, which Kubernetes reads; keys stay text; numbers need only
be told from text, since nothing computes with them. Places are worked out on the error path only: a good text pays
nothing for them.
"""

import re

from mcd_rt.desired.jsontext import feed_json, read_json
from mcd_rt.desired.tree import (
    BOOLEANS,
    KeyPath,
    Tree,
    TreeBuilder,
    describe,
    expect_mapping,
    invalid_at,
    place_of,
    spell,
)
from mcd_rt.errors import ConfigInvalid
from mcd_rt.frozen import frozen

MAX_JSON_BYTES = 64 << 20
MAX_YAML_BYTES = 4 << 20

_NOT_IN_A_LINE = re.compile("[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


@frozen
class Document:
    """A parsed text: a mapping, and what is needed to say where in the text a value stands.

    The getters take the keys on the way to a value; absent and null are the same, as Kubernetes has it, and give
    ``None``. A value of another type raises ``ConfigInvalid`` with its place.
    """

    source: str
    text: str
    is_json: bool
    root: dict[str, Tree]

    def value(self, *path: str) -> Tree:
        """Whatever stands at ``path``; what is on the way to it must be a mapping."""
        here: Tree = self.root
        for depth, key in enumerate(path):
            match here:
                case dict():
                    here = here.get(key)
                case None:
                    return None
                case _:
                    raise self.invalid(path[:depth], f"found {describe(here)}, expected a mapping")
        return here

    def string(self, *path: str) -> str | None:
        """One line of text."""
        value = self.value(*path)
        return None if value is None else self._line(path, value)

    def strings(self, *path: str) -> tuple[str, ...]:
        """A list of lines of text; empty where there is none."""
        match value := self.value(*path):
            case None:
                return ()
            case list():
                return tuple(self._line((*path, index), item) for index, item in enumerate(value))
            case _:
                raise self.invalid(path, f"found {describe(value)}, expected a list of texts")

    def boolean(self, *path: str) -> bool | None:
        """True or false."""
        match value := self.value(*path):
            case None | bool():
                return value
            case _:
                hint = "remove the quotes" if isinstance(value, str) and value.lower() in BOOLEANS else ""
                raise self.invalid(path, f"found {describe(value)}, expected true or false", hint)

    def _line(self, path: KeyPath, value: Tree) -> str:
        if not isinstance(value, str):
            hint = "" if value is None or isinstance(value, list | dict) else "put it in quotes"
            raise self.invalid(path, f"found {describe(value)}, expected text", hint)
        if _NOT_IN_A_LINE.search(value):
            raise self.invalid(path, f"found {describe(value)}, expected one line without control characters")
        return value

    def invalid(self, path: KeyPath, what: str, hint: str = "") -> ConfigInvalid:
        """The error about the value at ``path``, placed there or at the nearest thing around it."""
        return invalid_at(self.source, f"{spell(path)}: {what}", hint, self.place(path))

    def place(self, path: KeyPath) -> tuple[int, int]:
        """Line and column of the value at ``path``, or of the nearest thing around it."""
        builder = TreeBuilder(self.text, self.source, wanted=path)
        (feed_json if self.is_json else _feed_yaml)(builder)
        return place_of(self.text, builder.found)


def parse_document(text: bytes, source: str, keys: frozenset[str]) -> Document:
    """Parse a text; ``source`` is the file's name, for messages and as a hint about the format.

    ``keys`` are all that the getters will be asked for: mappings with none of them may be empty in the document.
    Raises ``ConfigInvalid`` with file, line and column for whatever is not one mapping in UTF-8 JSON or YAML:
    too large (64 MiB of JSON, 4 MiB of YAML), cut off, more than one document, nested deeper than 100 levels, a
    key twice in one mapping, aliases that recur or repeat more than 1 MiB, NaN and infinity, NUL bytes.
    """
    if len(text) > MAX_JSON_BYTES:
        raise invalid_at(source, f"is larger than {MAX_JSON_BYTES >> 20} MiB, expected a MachineConfig")
    decoded = _decode(text, source)
    if source.endswith(".json") or re.match(r'\s*\{\s*["}]', decoded):
        try:
            return Document(source, decoded, is_json=True, root=read_json(text, decoded, source, keys))
        except ConfigInvalid:
            if not source.endswith((".yaml", ".yml")):
                raise
    if len(text) > MAX_YAML_BYTES:
        raise invalid_at(source, f"is larger than {MAX_YAML_BYTES >> 20} MiB of YAML", "write it as JSON")
    builder = TreeBuilder(decoded, source)
    _feed_yaml(builder)
    return Document(source, decoded, is_json=False, root=expect_mapping(builder.root, decoded, source))


def _feed_yaml(builder: TreeBuilder) -> None:
    from mcd_rt.desired.yamltext import feed_yaml  # noqa: PLC0415 - what the MCO writes is JSON: a megabyte less

    feed_yaml(builder)


def _decode(text: bytes, source: str) -> str:
    if text.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise invalid_at(
            source, "found a byte order mark, expected plain UTF-8", "save it as UTF-8 without one", (1, 1)
        )
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        before = text[: error.start].decode()
        what = f"found the byte 0x{text[error.start]:02x}, expected UTF-8"
        raise invalid_at(source, what, "save it as UTF-8", place_of(before, len(before))) from error
    if (offset := decoded.find("\0")) >= 0:
        hint = "a crash may have damaged the file: write it again, whole"
        raise invalid_at(source, "found a NUL byte, expected text", hint, place_of(decoded, offset))
    return decoded
