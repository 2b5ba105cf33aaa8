"""JSON text → a tree, by the json module; places are worked out on the error path only."""

import json
import re
from itertools import accumulate

from mcd_rt.desired.tree import CUT_OFF, MAX_DEPTH, Tree, TreeBuilder, expect_mapping, invalid_at
from mcd_rt.errors import ConfigInvalid

_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},:]|[^\s\[\]{},:"]++', re.DOTALL)
_WHOLE = re.compile(r'(?:[^"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)  # whatever it is, up to a string cut off
_NESTING = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_ONE_KIND = bytes.maketrans(b"[]", b"{}")
_NOT_STRUCTURE = bytes(set(range(256)) - {ord('"'), ord(":"), *_NESTING})
_NOT_STRUCTURE_NOR_ESCAPE = bytes(set(_NOT_STRUCTURE) - set(rb"\/bfnrtu"))


class _RefusedError(ValueError):
    """Raised by our hooks inside the json module; where, is found afterwards."""


def read_json(text: bytes, decoded: str, source: str, keys: frozenset[str]) -> dict[str, Tree]:
    """The mapping in a text, given as bytes and decoded; raises ``ConfigInvalid`` as ``parse_document`` says.

    Mappings inside of it that have none of the ``keys`` are empty in it.
    """
    builder = TreeBuilder(decoded, source)
    structure = _structure(text)
    if _is_too_deep(structure):
        starts = [token.start() for token in _TOKEN.finditer(decoded)]
        depths = accumulate(_NESTING.get(ord(decoded[start]), 0) for start in starts)
        raise builder.too_deep(
            next((start for start, depth in zip(starts, depths, strict=True) if depth > MAX_DEPTH), 0)
        )
    sizes: list[int] = []
    try:
        tree = _decode(decoded, sizes, keys)
    except json.JSONDecodeError as error:
        before = _WHOLE.match(decoded, 0, error.pos)
        assert before is not None  # it matches nothing at all, too
        feed_json(TreeBuilder(before[0], source))  # raises where something in it is a fault
        raise _json_syntax(error, source) from error
    except _RefusedError as error:
        feed_json(builder)  # raises the same with its place
        raise invalid_at(source, "found NaN or infinity") from error
    if sum(sizes) != structure.count(b":"):  # each is that of a pair: one was put into the place of another
        feed_json(builder)  # raises it with its place
        raise invalid_at(source, "found a key twice")
    return expect_mapping(tree, decoded, source)


def _decode(text: str, sizes: list[int], keys: frozenset[str]) -> Tree:
    """The tree; ``sizes`` gets those of its mappings, in which a key that was there twice is one.

    What is in mappings that nobody will look at goes as soon as it came: of megabytes, nearly everything.
    """
    nothing: dict[str, Tree] = {}

    def count(mapping: dict[str, Tree]) -> dict[str, Tree]:
        sizes.append(len(mapping))
        return nothing if keys.isdisjoint(mapping) else mapping

    decoder = json.JSONDecoder(object_hook=count, parse_constant=_no_constant, parse_int=float)
    tree: Tree = decoder.decode(text)
    return tree


def _structure(text: bytes) -> bytes:
    """Brackets, all of one kind, and colons of a text in JSON, outside of its strings; no loop over its characters."""
    if b"\\" in text:
        text = text.translate(None, _NOT_STRUCTURE_NOR_ESCAPE).replace(rb"\\", b"").replace(rb"\"", b"")
    text = text.translate(_ONE_KIND, _NOT_STRUCTURE).replace(b'""', b"")
    return b"".join(text.split(b'"')[::2])


def _is_too_deep(structure: bytes) -> bool:
    """Whether JSON, or its part before the first fault, nests too deep."""
    left = brackets = structure.translate(None, b":")
    for _ in range(MAX_DEPTH):
        left = left.replace(b"{}", b"")  # the innermost level
        if not left:
            return False
    return max(accumulate(map(_NESTING.__getitem__, brackets)), default=0) > MAX_DEPTH


def _no_constant(_name: str) -> Tree:
    raise _RefusedError


def _json_syntax(error: json.JSONDecodeError, source: str) -> ConfigInvalid:
    place, rest = (error.lineno, error.colno), error.doc[error.pos : error.pos + 20].split("\n")[0]
    if error.msg == "Extra data":
        second = "a second document" if rest.startswith("{") else repr(rest)
        return invalid_at(source, f"found {second} after the first, expected one JSON object", "", place)
    if error.msg.startswith("Unterminated string"):
        return invalid_at(source, "found no end of the string that starts here, expected '\"'", CUT_OFF, place)
    expected = error.msg[0].lower() + error.msg[1:].removesuffix(" at")
    if re.compile(r"[-+.\w]*\s*\Z").match(error.doc, error.pos):
        return invalid_at(source, f"not JSON: {expected}, found the end of the file", CUT_OFF, place)
    return invalid_at(source, f"not JSON: {expected}, found {rest!r}", "", place)


def feed_json(builder: TreeBuilder) -> None:
    """A text in JSON whose grammar is right up to the first fault that the builder finds, token by token."""
    for token in _TOKEN.finditer(builder.text):
        offset = token.start()
        match builder.text[offset]:
            case "{":
                builder.start({}, offset)
            case "[":
                builder.start([], offset)
            case "}" | "]":
                builder.end()
            case '"' if builder.awaits_key():
                builder.key(json.loads(token[0]), offset)
            case "," | ":":
                pass
            case _ if token[0].startswith(("NaN", "Infinity", "-Infinity")):
                raise builder.not_finite(offset)
            case _:
                builder.scalar(None, offset)
