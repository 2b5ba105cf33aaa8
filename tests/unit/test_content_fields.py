"""Typed getters over foreign JSON say where it is wrong."""

import re

import pytest

from mcd_rt.content import fields

WRONG = [
    (lambda: fields.parse_object(b"[1]"), "the whole: expected an object, found a list"),
    (lambda: fields.parse_object(b"7"), "the whole: expected an object, found a number"),
    (lambda: fields.parse_object(b'{"a": '), "Expecting value"),
    (lambda: fields.parse_object(b'{"a":' * 100_000), "nested too deeply"),
    (lambda: fields.text({}, "name"), "name: expected a string, found nothing"),
    (lambda: fields.text({"name": 1}, "name"), "name: expected a string, found a number"),
    (lambda: fields.text({"name": "x" * 9}, "name", most=8), "name: expected at most 8 characters, found 9"),
    (lambda: fields.text({"name": "a\x1b[31m"}, "name"), "name: has characters that cannot be printed"),
    (lambda: fields.integer({"size": True}, "size", most=9), "size: expected a whole number, found a boolean"),
    (lambda: fields.integer({"size": 1.5}, "size", most=9), "size: expected a whole number, found a number"),
    (lambda: fields.integer({"size": -1}, "size", most=9), "size: expected 0 to 9, found -1"),
    (lambda: fields.integer({"size": 10}, "size", most=9), "size: expected 0 to 9, found 10"),
    (lambda: fields.mapping({"a": "b"}, "a"), "a: expected an object, found a string"),
    (lambda: fields.texts({"a": [1]}, "a", most=2), "a: expected a string, found a number"),
    (lambda: fields.texts({"a": {}}, "a", most=2), "a: expected a list, found an object"),
    (lambda: fields.texts({"a": ["b", "c", "d"]}, "a", most=2), "a: expected at most 2 items, found 3"),
    (lambda: fields.mappings({"a": [[]]}, "a", most=2), "a: expected an object, found a list"),
]


@pytest.mark.parametrize(("getter", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_values_are_named(getter, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        getter()


def test_right_values_come_out():
    value = fields.parse_object(b'{"name": "x", "size": 3, "none": null, "list": ["a"], "objects": [{}], "object": {}}')
    assert fields.text(value, "name") == "x"
    assert fields.optional_text(value, "none") == ""
    assert fields.optional_text(value, "name") == "x"
    assert fields.integer(value, "size", most=3) == 3
    assert fields.texts(value, "list", most=1) == ("a",)
    assert fields.mappings(value, "objects", most=1) == ({},)
    assert fields.mapping(value, "object") == {}


def test_printable_text_can_neither_move_the_cursor_nor_break_the_encoding():
    assert fields.printable("a\x1b[31m\n\udc80b") == "a\\x1b[31m\\n\\udc80b"
    assert fields.printable("\n" * 9, 5) == "\\n\\n\\"
