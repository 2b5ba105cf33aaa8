"""YAML text → a tree, from libyaml's events without recursion; scalars resolve as in YAML 1.1, as in Kubernetes."""

import re
from collections.abc import Collection
from contextlib import suppress
from functools import partial

import yaml

from mcd_rt.desired.tree import BOOLEANS, CUT_OFF, Tree, TreeBuilder, describe
from mcd_rt.errors import ConfigInvalid

_LOADER: type[yaml.CSafeLoader] | type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOT_IN_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAG = "tag:yaml.org,2002:"
_SCALARS = frozenset(("str", "null", "bool", "int", "float", "timestamp", "merge", "value"))


def feed_yaml(builder: TreeBuilder) -> None:
    """A text in YAML, event by event; raises ``ConfigInvalid`` also for its grammar."""
    if unprintable := _NOT_IN_YAML.search(builder.text):
        raise builder.invalid(f"found the character {unprintable[0]!r}, expected text", unprintable.start())
    loader = _LOADER(builder.text)
    resolver = yaml.resolver.Resolver()
    try:
        while (event := _next_event(loader, builder)) is not None:
            _feed_event(event, resolver, builder)
    finally:
        loader.dispose()


def _next_event(loader: yaml.CSafeLoader | yaml.SafeLoader, builder: TreeBuilder) -> yaml.Event | None:
    try:
        event: yaml.Event | None = loader.get_event()
    except yaml.MarkedYAMLError as error:
        raise _yaml_syntax(error, builder) from error
    except (yaml.reader.ReaderError, ValueError, OverflowError) as error:  # without a mark: no character at all
        raise builder.invalid(f"not YAML: {error}", 0) from error
    return event


def _yaml_syntax(error: yaml.MarkedYAMLError, builder: TreeBuilder) -> ConfigInvalid:
    end = len(builder.text.rstrip())
    mark = error.problem_mark or error.context_mark
    offset = min(mark.index, end) if mark else 0
    if "maximum nesting" in (error.problem or ""):  # libyaml looks ahead, and has a limit of its own
        return builder.too_deep(offset)
    problem = ", ".join(part for part in (error.context, error.problem) if part)
    if offset == end:
        return builder.invalid(f"not YAML: {problem}, found the end of the file", offset, CUT_OFF)
    rest = builder.text[offset : offset + 20].split("\n")[0]
    return builder.invalid(f"not YAML: {problem}, found {rest!r}", offset)


def _feed_event(event: yaml.Event, resolver: yaml.resolver.Resolver, builder: TreeBuilder) -> None:
    offset = event.start_mark.index if event.start_mark else 0
    match event:
        case yaml.DocumentStartEvent():
            builder.document(offset)
        case yaml.ScalarEvent():
            tag = resolver.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
            kind = _kind(tag if event.tag in (None, "!") else event.tag, _SCALARS, offset, builder)
            if builder.awaits_key():
                builder.key(event.value, offset, event.anchor, merge=kind == "merge")
            else:
                builder.scalar(_plain(kind, event.value, offset, builder), offset, 1 + len(event.value), event.anchor)
        case yaml.AliasEvent():
            builder.alias(event.anchor or "", offset)
        case yaml.MappingStartEvent():
            _kind(event.tag, ("map",), offset, builder)
            builder.start({}, offset, event.anchor)
        case yaml.SequenceStartEvent():
            _kind(event.tag, ("seq",), offset, builder)
            builder.start([], offset, event.anchor)
        case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
            builder.end()
        case _:
            pass  # begin and end of the stream, end of the document


def _kind(tag: str | None, known: Collection[str], offset: int, builder: TreeBuilder) -> str:
    kind = (tag or "").removeprefix(_TAG)
    if tag not in (None, "!") and kind not in known:
        raise builder.invalid(f"found the tag {describe(tag)}, expected a value without one", offset, "remove the tag")
    return kind


def _plain(kind: str, text: str, offset: int, builder: TreeBuilder) -> Tree:
    """A scalar as a value; what does not fit its kind stays the text it is."""
    match kind:
        case "null":
            return None
        case "bool":
            return BOOLEANS.get(text.lower(), text)
        case "int" | "float" if text.lstrip("+-").lower() in (".nan", ".inf"):
            raise builder.not_finite(offset)
        case "int" | "float":
            return _number(text.replace("_", ""))
        case _:
            return text


def _number(text: str) -> float | str:
    for convert in (float, partial(int, base=0)):
        with suppress(ValueError):
            return convert(text)
    return text
