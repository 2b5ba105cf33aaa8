"""The agent's own settings: TOML drop-ins → ``model.settings.Settings``.

The dataclasses there say which sections and keys there are, of which type, with which default: a new field needs
no change here, unless its range is narrower or wider than that of its type (``ranges.py``).
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_type_hints

from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.settings import Settings
from mcd_rt.ranges import RANGES, RANGES_OF_TYPES, TYPES, find_contradiction

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance")


@frozen
class TracedSettings:
    """Settings, and for each that is not a default the file that says so, by its name: ``reboot.per_day``."""

    settings: Settings
    sources: Mapping[str, Path]

    def values(self) -> Mapping[str, object]:
        """Every setting's value by its name."""
        return dict(_values(self.settings, ""))


def load_settings(paths: HostPaths) -> Settings:
    """See ``trace_settings``."""
    return trace_settings(paths).settings


def trace_settings(paths: HostPaths) -> TracedSettings:
    """The defaults, overridden by ``*.toml`` in the drop-in directories of the host, file by file in name order.

    Of files with the same name that in the later directory counts, and a link to ``/dev/null`` there masks it; a
    key in a later file counts over the same key in an earlier one. Hidden files are passed over. Raises
    ``AgentError`` (``settings-invalid``) with file and key.
    """
    settings, sources = Settings(), dict[str, Path]()
    for file in drop_ins(paths):
        table = _parse(file)
        settings = _override(settings, table, file, prefix="")
        sources |= dict.fromkeys(_keys(table, ""), file)
    found = find_contradiction(settings)
    if found is not None:
        raise _invalid(sources.get(found.key) or sources["reboot.strategy"], f"{found.key}: {found.what}", found.hint)
    return TracedSettings(settings, sources)


def drop_ins(paths: HostPaths) -> Iterator[Path]:
    """The files that count, in their order; raises ``AgentError`` (``settings-invalid``)."""
    by_name = {file.name: file for directory in paths.settings for file in _files(directory)}
    nothing = ("/dev/null", str(paths.below("/dev/null")))
    for _, file in sorted(by_name.items()):
        if not (file.is_symlink() and os.path.normpath(file.parent / file.readlink()) in nothing):
            yield file


def _files(directory: Path) -> list[Path]:
    try:
        entries = list(directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _invalid(directory, f"cannot be read: {error.strerror}", "make it a readable directory") from error
    return [entry for entry in entries if entry.suffix == ".toml" and not entry.name.startswith(".")]


def _parse(file: Path) -> Mapping[str, object]:
    try:
        text = file.read_bytes()
    except OSError as error:
        raise _invalid(file, f"cannot be read: {error.strerror}", "make it a readable file") from error
    try:
        return tomllib.loads(text.decode())
    except UnicodeDecodeError as error:
        raise _invalid(file, f"found the byte 0x{text[error.start]:02x}, expected UTF-8", "save it as UTF-8") from error
    except ValueError as error:
        raise _invalid(file, f"not TOML: {error}") from error
    except RecursionError as error:
        raise _invalid(file, "not TOML that can be read: nested too deep") from error


def _override(settings: S, table: Mapping[str, object], file: Path, prefix: str) -> S:
    """``settings`` with what ``table`` says in place of its own; ``prefix`` leads to it, ``reboot.``."""
    types = get_type_hints(type(settings))
    changes: dict[str, object] = {}
    for key, value in table.items():
        name = prefix + key
        if key not in types:
            from difflib import get_close_matches  # noqa: PLC0415 - where there are no mistakes nobody needs it

            near = get_close_matches(name, _names(Settings(), ""), n=1, cutoff=0.5)
            what = "section" if isinstance(value, dict) else "key"
            hint = f"did you mean {near[0]}?" if near else f"known here are {', '.join(types)}"
            raise _invalid(file, f"{name}: unknown {what}", hint)
        current = getattr(settings, key)
        if is_dataclass(current) and not isinstance(current, type):
            if not isinstance(value, dict):
                raise _invalid(file, f"{name}: found {_described(value)}, expected a section [{name}]")
            changes[key] = _override(current, value, file, f"{name}.")
        else:
            changes[key] = _checked(types[key], value, file, name)
    return replace(settings, **changes)


def _checked(kind: object, value: object, file: Path, name: str) -> object:
    ranges = (RANGES.get(name) or RANGES_OF_TYPES.get(kind),)
    for holds, expected in (TYPES[kind], *filter(None, ranges)):
        if not holds(value):
            raise _invalid(file, f"{name}: found {_described(value)}, expected {expected}")
    if isinstance(value, list):
        return tuple(value)
    return float(value) if kind is float and isinstance(value, int) else value


def _names(settings: "DataclassInstance", prefix: str) -> list[str]:
    names = []
    for field in fields(settings):
        names.append(prefix + field.name)
        inner = getattr(settings, field.name)
        if is_dataclass(inner) and not isinstance(inner, type):
            names += _names(inner, f"{prefix}{field.name}.")
    return names


def _values(settings: "DataclassInstance", prefix: str) -> Iterator[tuple[str, object]]:
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value) and not isinstance(value, type):
            yield from _values(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, value


def _keys(table: Mapping[str, object], prefix: str) -> Iterator[str]:
    """What a table that was found valid sets."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def _described(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "a table"
        case list():
            return "an array"
        case int() if abs(value) >= 1 << 63:
            return "a very large number"
        case _:
            return repr(value)[:60]


def _invalid(file: Path, what: str, hint: str = "correct it, then `systemctl reload mcd-rt`") -> AgentError:
    return AgentError(Code.SETTINGS_INVALID, f"{file}: {what}", hint)
