"""JSON text → a tree, by the json module; places are worked out on the error path only."""

import json
import re
from itertools import accumulate

from mcd_rt.desired.tree import CUT_OFF, MAX_DEPTH, Tree, TreeBuilder, expect_mapping, invalid_at
from mcd_rt.errors import ConfigInvalid

_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},:]|[^\s\[\]{},:"]++', re.DOTALL)
_NESTING = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_ONE_KIND = bytes.maketrans(b"[]", b"{}")
_NOT_STRUCTURE = bytes(set(range(256)) - {ord('"'), *_NESTING})
_NOT_STRUCTURE_NOR_ESCAPE = bytes(set(_NOT_STRUCTURE) - set(rb"\/bfnrtu"))


class _RefusedError(ValueError):
    """Raised by our hooks inside the json module; where, is found afterwards."""


def read_json(text: bytes, decoded: str, source: str) -> dict[str, Tree]:
    """The mapping in a text, given as bytes and decoded; raises ``ConfigInvalid`` as ``parse_document`` says."""
    builder = TreeBuilder(decoded, source)
    if _is_too_deep(text):
        starts = [token.start() for token in _TOKEN.finditer(decoded)]
        depths = accumulate(_NESTING.get(ord(decoded[start]), 0) for start in starts)
        raise builder.too_deep(
            next((start for start, depth in zip(starts, depths, strict=True) if depth > MAX_DEPTH), 0)
        )
    try:
        tree: Tree = _DECODER.decode(decoded)
    except json.JSONDecodeError as error:
        raise _json_syntax(error, source) from error
    except _RefusedError as error:
        feed_json(builder)  # raises the same with its place
        raise invalid_at(source, "found a key twice, or NaN or infinity") from error
    return expect_mapping(tree, decoded, source)


def _is_too_deep(text: bytes) -> bool:
    """Whether JSON, or its part before the first fault, nests too deep; no loop over its characters in Python."""
    if b"\\" in text:
        text = text.translate(None, _NOT_STRUCTURE_NOR_ESCAPE).replace(rb"\\", b"").replace(rb"\"", b"")
    text = text.translate(_ONE_KIND, _NOT_STRUCTURE).replace(b'""', b"")
    left = brackets = b"".join(text.split(b'"')[::2])
    for _ in range(MAX_DEPTH):
        left = left.replace(b"{}", b"")  # the innermost level
        if not left:
            return False
    return max(accumulate(map(_NESTING.__getitem__, brackets)), default=0) > MAX_DEPTH


def _unique(pairs: list[tuple[str, Tree]]) -> dict[str, Tree]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise _RefusedError
    return tree


def _no_constant(_name: str) -> Tree:
    raise _RefusedError


# One for all texts: a decoder is a cycle of references, which would keep what it stands beside in memory.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=float)


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
