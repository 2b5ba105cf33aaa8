"""Typed getters over JSON that somebody else wrote; each ``ValueError`` says where it is wrong."""

import json

JsonObject = dict[str, object]

MAX_FILES = 64
MAX_KEYS = 256
"""How many files, or keys, a worker is asked about at once."""


def parse_object(data: bytes) -> JsonObject:
    """One JSON object; raises ``ValueError`` for anything else, nesting without end included."""
    try:
        value = json.loads(data.decode())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise _wrong("the whole", "an object", value)
    return value


def text(fields: JsonObject, key: str, *, most: int = 1024) -> str:
    """A string of at most ``most`` characters, all printable."""
    return _text(fields.get(key), key, most)


def optional_text(fields: JsonObject, key: str) -> str:
    """The same, empty where the key is absent or null."""
    return "" if fields.get(key) is None else text(fields, key)


def integer(fields: JsonObject, key: str, *, most: int) -> int:
    """A whole number from 0 to ``most``."""
    value = fields.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(key, "a whole number", value)
    if not 0 <= value <= most:
        raise ValueError(f"{key}: expected 0 to {most}, found {value}")
    return value


def boolean(fields: JsonObject, key: str) -> bool:
    """True or false."""
    value = fields.get(key)
    if not isinstance(value, bool):
        raise _wrong(key, "true or false", value)
    return value


def mapping(fields: JsonObject, key: str) -> JsonObject:
    """A nested object."""
    return _mapping(fields.get(key), key)


def texts(fields: JsonObject, key: str, *, most: int) -> tuple[str, ...]:
    """A list of at most ``most`` strings of at most 256 characters."""
    return tuple(_text(item, key, 256) for item in _items(fields, key, most))


def mappings(fields: JsonObject, key: str, *, most: int) -> tuple[JsonObject, ...]:
    """A list of at most ``most`` objects."""
    return tuple(_mapping(item, key) for item in _items(fields, key, most))


def printable(value: str, most: int = 1024) -> str:
    """The text with everything escaped that a terminal or a log could stumble over, cut to ``most``."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value[:most])[:most]


def _text(value: object, key: str, most: int) -> str:
    if not isinstance(value, str):
        raise _wrong(key, "a string", value)
    if len(value) > most:
        raise ValueError(f"{key}: expected at most {most} characters, found {len(value)}")
    if not value.isprintable():
        raise ValueError(f"{key}: has characters that cannot be printed")
    return value


def _mapping(value: object, key: str) -> JsonObject:
    if not isinstance(value, dict):
        raise _wrong(key, "an object", value)
    return value


def _items(fields: JsonObject, key: str, most: int) -> list[object]:
    value = fields.get(key)
    if not isinstance(value, list):
        raise _wrong(key, "a list", value)
    if len(value) > most:
        raise ValueError(f"{key}: expected at most {most} items, found {len(value)}")
    return value


def _wrong(key: str, expected: str, found: object) -> ValueError:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "nothing"}
    return ValueError(f"{key}: expected {expected}, found {names.get(type(found), 'a number')}")
