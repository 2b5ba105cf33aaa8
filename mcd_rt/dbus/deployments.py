"""rpm-ostree's ``a{sv}`` of a deployment → ``Deployment``.

Keys and types: ``reference/rpm-ostree-dbus.md`` 1, "Deployment". A key that a version does not have is
absent; one of the wrong type is a daemon we do not understand, and nothing is decided from it.
"""

import re
from typing import TypeVar

from mcd_rt.dbus.wire import Value
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.deployment import Deployment, Deployments
from mcd_rt.model.kernelargs import split_arguments
from mcd_rt.model.nevra import Nevra

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_OSTREE = "ostree="
T = TypeVar("T", str, bool)


def read_deployments(entries: Value) -> Deployments:
    """Read the (plain) property ``Deployments``, keeping those of the booted OS (or of the first one).

    Raises ``AgentError`` (``rpm-ostree-protocol``) for anything that is not as documented.
    """
    if not isinstance(entries, list) or not entries:
        raise _unexpected("Deployments", entries)
    raw = [_dictionary(entry) for entry in entries]
    osname = next((_get(entry, "osname", "") for entry in raw if _get(entry, "booted", default=False)), None)
    if osname is None:
        osname = _get(raw[0], "osname", "")
    return Deployments(tuple(_deployment(entry) for entry in raw if _get(entry, "osname", "") == osname))


def read_boot_options(answer: Value) -> str:
    """Read the (plain) answer of ``GetDeploymentBootConfig``; raises ``AgentError`` (``rpm-ostree-protocol``)."""
    match answer:
        case [dict() as config]:
            return _get(config, "options", "")
        case _:
            raise _unexpected("the boot configuration", answer)


def read_kernel_arguments(options: str) -> tuple[str, ...]:
    """Single arguments, without ostree's own, which is another one in every deployment.

    Raises ``AgentError`` (``rpm-ostree-protocol``).
    """
    try:
        arguments = split_arguments(options)
    except ValueError as error:
        raise _unexpected("the kernel arguments", f"{options[:100]} ({error})") from error
    return tuple(argument for argument in arguments if not argument.startswith(_OSTREE))


def _deployment(entry: dict[str, Value]) -> Deployment:
    checksum = _get(entry, "checksum", "")
    base_checksum = _get(entry, "base-checksum", checksum)
    metadata = entry.get("layered-commit-meta" if base_checksum != checksum else "base-commit-meta", {})
    digests = _image_digests(entry)
    return Deployment(
        id=_get(entry, "id", ""),
        checksum=checksum,
        base_checksum=base_checksum,
        version=_get(entry, "version", ""),
        image_digest=next(iter(digests), ""),
        booted=_get(entry, "booted", default=False),
        staged=_get(entry, "staged", default=False),
        locked=_get(entry, "finalization-locked", default=False),
        pinned=_get(entry, "pinned", default=False),
        requested=tuple(sorted(_strings(entry, "requested-packages"))),
        local=tuple(sorted(_nevras(entry, "requested-local-packages"))),
        removals=tuple(sorted(_strings(entry, "requested-base-removals"))),
        replacements=tuple(sorted(_strings(entry, "requested-base-local-replacements") + _remote_replacements(entry))),
        kernel_release=_get(_dictionary(metadata), "ostree.linux", ""),
        other_digests=digests[1:],
    )


def _image_digests(entry: dict[str, Value]) -> tuple[str, ...]:
    """What was asked for, then what that was: behind the digest of an index, the image of the node's platform."""
    origin = entry.get("custom-origin", [])
    places = (
        _get(entry, "container-image-reference", ""),
        _get(entry, "container-image-reference-digest", ""),
        origin[0] if isinstance(origin, list) and origin and isinstance(origin[0], str) else "",
    )
    found = (_DIGEST.search(place) for place in places)
    return tuple(dict.fromkeys(match.group() for match in found if match))


def _remote_replacements(entry: dict[str, Value]) -> list[str]:
    """Those taken from a repository, ``a(sas)`` of where from and what."""
    found = []
    replaced = entry.get("requested-base-remote-replacements", [])
    for item in replaced if isinstance(replaced, list) else [replaced]:
        match item:
            case [str(), list() as names]:
                found += [name for name in names if isinstance(name, str)]
            case _:
                raise _unexpected("requested-base-remote-replacements", replaced)
    return found


def _nevras(entry: dict[str, Value], key: str) -> list[Nevra]:
    try:
        return [Nevra.parse(text) for text in _strings(entry, key)]
    except ValueError as error:
        raise _unexpected(key, str(error)) from error


def _strings(entry: dict[str, Value], key: str) -> list[str]:
    value = entry.get(key, [])
    if not isinstance(value, list):
        raise _unexpected(key, value)
    strings = [item for item in value if isinstance(item, str)]
    if len(strings) != len(value):
        raise _unexpected(key, value)
    return strings


def _get(entry: dict[str, Value], key: str, default: T) -> T:
    value = entry.get(key, default)
    if not isinstance(value, type(default)):
        raise _unexpected(key, value)
    return value


def _dictionary(value: Value) -> dict[str, Value]:
    if not isinstance(value, dict):
        raise _unexpected("a deployment", value)
    return value


def _unexpected(key: str, value: object) -> AgentError:
    return AgentError(
        Code.RPM_OSTREE_PROTOCOL,
        f"rpm-ostree reports {key} as {str(value)[:200]!r}",
        "this version of rpm-ostree is not understood; nothing is changed",
    )
