"""One MachineConfig → what it asks of the kernel.

What concerns the kernel is believed only if it is well formed; everything else in the document is ignored,
whatever its type. The values of ``kernelType``: ``reference/machine-config-daemon.md`` 1.2; ``spec.realtime``, the
proposal's own spelling: ``reference/support-for-real-time-kernels.md``.
"""

import errno
import os
import stat
from pathlib import Path

from mcd_rt.desired.document import MAX_JSON_BYTES, Document, parse_document
from mcd_rt.desired.tree import describe
from mcd_rt.errors import ConfigInvalid
from mcd_rt.frozen import frozen
from mcd_rt.model.desired import MachineConfig
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.kernelargs import split_arguments

_GROUP = "machineconfiguration.openshift.io"
_ROLE = f"{_GROUP}/role"
_REALTIME = ("spec", "realtime")
_KERNEL_TYPE = ("spec", "kernelType")
_ARGUMENTS = ("spec", "kernelArguments")
_IMAGE, _EXTENSIONS_IMAGE = ("spec", "osImageURL"), ("spec", "baseOSExtensionsContainerImage")
_EXTENSIONS, _FIPS = ("spec", "extensions"), ("spec", "fips")
_LABELS, _NAME = ("metadata", "labels"), ("metadata", "name")
_KIND, _VERSION = ("kind",), ("apiVersion",)
_PATHS = (_REALTIME, _KERNEL_TYPE, _ARGUMENTS, _IMAGE, _EXTENSIONS_IMAGE, _EXTENSIONS, _FIPS, _LABELS, _NAME)
_KEYS = frozenset(key for path in (*_PATHS, _KIND, _VERSION, (_ROLE,)) for key in path)


@frozen
class Absent:
    """There is no config yet; ``reason`` says why. To be waited for, not an error."""

    reason: str


def read_machine_config(path: Path) -> MachineConfig | Absent:
    """The MachineConfig in a file.

    A file that is missing, empty or all white space is ``Absent``. Raises ``ConfigInvalid`` for one that cannot be
    read, with the system's words, or believed.
    """
    source = printable(str(path))
    try:
        text = _read(path)
    except FileNotFoundError:
        return Absent(f"{source} does not exist")
    except OSError as error:
        raise ConfigInvalid(f"{source}: cannot be read: {error.strerror}", "make it a readable file") from error
    if not text or text.isspace():
        return Absent(f"{source} is empty")
    return parse_machine_config(text, source)


def parse_machine_config(text: bytes, source: str) -> MachineConfig:
    """What a MachineConfig in YAML or JSON asks for; ``source`` is its file's name.

    A field that is absent or null says nothing, ``kernelType: ""`` is ``default``. ``realtime: false`` asks for
    the default kernel, so next to ``64k-pages`` it is a contradiction. Raises ``ConfigInvalid`` that names the
    place, what was found and what was expected.
    """
    document = parse_document(text, source, _KEYS)
    _check_identity(document)
    name = document.string(*_NAME)
    if not name:
        found = "nothing" if name is None else describe(name)
        raise document.invalid(_NAME, f"found {found}, expected the name of the MachineConfig")
    return MachineConfig(
        source=source,
        name=name,
        role=_role(document),
        kernel_type=_kernel_type(document),
        os_image=document.string(*_IMAGE) or "",
        extensions_image=document.string(*_EXTENSIONS_IMAGE) or "",
        extensions=document.strings(*_EXTENSIONS),
        kernel_arguments=_kernel_arguments(document),
        fips=document.boolean(*_FIPS),
    )


def printable(name: str) -> str:
    """A file's name as messages show it: on one line, and never failing to be encoded."""
    return name if name.isprintable() else repr(name)[1:-1]


def _read(path: Path) -> bytes:
    """At most one byte more than may be parsed; a FIFO or device is refused, not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            number = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
            raise OSError(number, os.strerror(number) if number == errno.EISDIR else "Not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            text = file.read(min(found.st_size, MAX_JSON_BYTES) + 1)
            if len(text) <= found.st_size:
                return text
            return text + file.read(MAX_JSON_BYTES + 1 - len(text))  # it grew meanwhile
    finally:
        os.close(descriptor)


def _check_identity(document: Document) -> None:
    if (kind := document.value(*_KIND)) != "MachineConfig":
        found = "nothing" if kind is None else describe(kind)
        raise document.invalid(_KIND, f"found {found}, expected MachineConfig")
    version = document.value(*_VERSION)
    if not isinstance(version, str) or not version.startswith(f"{_GROUP}/"):
        found = "nothing" if version is None else describe(version)
        raise document.invalid(_VERSION, f"found {found}, expected {_GROUP}/v1")


def _role(document: Document) -> str:
    """The role label; labels are for people to set, so one that is no text is nobody's role, not an error."""
    labels = document.value(*_LABELS)
    role = labels.get(_ROLE) if isinstance(labels, dict) else None
    return role if isinstance(role, str) else ""


def _kernel_arguments(document: Document) -> tuple[str, ...]:
    """One element may hold several, as the operator allows."""
    arguments: list[str] = []
    for index, text in enumerate(document.strings(*_ARGUMENTS)):
        try:
            arguments += split_arguments(text)
        except ValueError as error:
            raise document.invalid((*_ARGUMENTS, index), f"found {describe(text)}: {error}") from error
    return tuple(arguments)


def _kernel_type(document: Document) -> KernelType | None:
    realtime = document.boolean(*_REALTIME)
    named = document.string(*_KERNEL_TYPE)
    by_name = None if named is None else _known(document, named)
    by_flag = None if realtime is None else KernelType.REALTIME if realtime else KernelType.DEFAULT
    if by_name and by_flag and by_name is not by_flag:
        line, column = document.place(_REALTIME)
        what = (
            f"found {describe(named)}, but spec.realtime in line {line}, column {column} is {describe(realtime)}, "
            f"which asks for {by_flag}; expected both to agree"
        )
        raise document.invalid(_KERNEL_TYPE, what, "keep only one of the two")
    return by_name or by_flag


def _known(document: Document, named: str) -> KernelType:
    if not named:
        return KernelType.DEFAULT
    try:
        return KernelType(named)
    except ValueError as error:
        from difflib import get_close_matches  # noqa: PLC0415 - an idle agent never needs it

        near = get_close_matches(named[:60].strip().lower(), list(KernelType), n=1, cutoff=0.4)
        what = f'found {describe(named)}, expected one of {", ".join(KernelType)} or ""'
        raise document.invalid(_KERNEL_TYPE, what, f"did you mean {near[0]}?" if near else "") from error
