"""Kernel arguments: one text of many and single ones, split as the kernel splits its command line."""

import re

import pytest

from mcd_rt.model.kernelargs import is_one_argument, split_arguments


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", ()),
        (" \t ", ()),
        ("quiet", ("quiet",)),
        ("a b=1\tc", ("a", "b=1", "c")),
        ("a b a", ("a", "b", "a")),
        ('dyndbg="file a.c +p" x', ('dyndbg="file a.c +p"', "x")),
        ('"a b=c"', ('"a b=c"',)),
        ('a=""', ('a=""',)),
        ('a="\t" b', ('a="\t"', "b")),
        ("a='b c'", ("a='b", "c'")),
    ],
)
def test_arguments_are_split_at_white_space_outside_of_quotes(text, arguments):
    assert split_arguments(text) == arguments


@pytest.mark.parametrize("text", ['a="b', 'a b"', '"'])
def test_an_open_quote_is_refused(text):
    with pytest.raises(ValueError, match="a double quote is not closed"):
        split_arguments(text)
    assert not is_one_argument(text)


@pytest.mark.parametrize("character", ["\n", "\0", "\x1b", "\x7f", "\u00a0", "\u2028", "\ud800"])
@pytest.mark.parametrize("before", ["a", "a\tb", '"a '])
def test_a_character_no_argument_can_have_is_named(character, before):
    message = f"^it has the character {re.escape(repr(character))}, which no kernel argument can have$"
    with pytest.raises(ValueError, match=message):
        split_arguments(f"{before}{character}")


@pytest.mark.parametrize(
    ("text", "one"), [("a", True), ('a="b c"', True), ("", False), ("a b", False), (" a", False), ("a\n", False)]
)
def test_one_argument_is_one(text, one):
    assert is_one_argument(text) is one
