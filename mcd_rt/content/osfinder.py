"""The OS of an image: its commit object, found in the layers, and the kernel packages that belong to it.

An image that *is* its OS has the object below ``sysroot/ostree/repo`` in its first layer (ostree-ext,
``tar/export.rs``), machine-os-content in its repository below ``srv/repo``. Which commit it is, a label in the image's
config says, which was compared with its digest; the object's checksum is the SHA-256 of its bytes. So an object of that
checksum is the right one wherever it was found, and reading may stop in the middle of a layer: nothing else of the
layer is believed. Without the label, or without a list of packages in the commit, every layer is read to its end and
verified.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mcd_rt.content import repository
from mcd_rt.content.archive import Kind, Member, MemberData
from mcd_rt.content.blob import Descriptor, Reader, VerifiedReader
from mcd_rt.content.commit import MAX_COMMIT, Commit, read_commit
from mcd_rt.content.decompress import ByteStream
from mcd_rt.content.fields import printable
from mcd_rt.content.layers import members_of
from mcd_rt.content.nevras import checked_nevra
from mcd_rt.content.overlay import Opaque, Ordinary, Whiteout, meaning, meets
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm

MAX_KEPT = 64 << 20
MAX_LIST = 1 << 20

_LIST = "pkglist.txt"
_CONTAINER = "sysroot/ostree/repo"
_REFS = f"{repository.PLACE}/refs/heads/"
_ANY_COMMIT = re.compile(rf"{repository.PLACE}/objects/([0-9a-f]{{2}})/([0-9a-f]{{62}})\.commit")
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_WAY_OUT = 'bring the OS in another way: [os] manage = "kernel-only"'


@frozen
class Found:
    """The commit of an image, where it was, and its kernel packages."""

    form: OsForm
    commit: Commit
    kernels: tuple[Nevra, ...]


@dataclass(slots=True)
class _Notes:
    """What one layer has of what is looked for, and hides of it in older ones: by path, whether itself as well."""

    files: dict[str, bytes] = field(default_factory=dict)
    hidden: dict[str, bool] = field(default_factory=dict)


@dataclass(slots=True)
class Search:
    """What was found so far, layer by layer, in either order; ``label`` is the commit it is for, or empty."""

    label: str
    found: Found | None = None
    _layers: list[_Notes] = field(default_factory=lambda: [_Notes()])  # as they were read, the last one still is
    _bytes: int = 0

    def read_layer(self, source: Reader, blob: Descriptor, on_read: Callable[[int], None]) -> None:
        """Look through a layer, to its end unless everything is found.

        Raises ``AgentError``: ``image-digest-mismatch``, ``image-too-large``, ``image-unreadable``, ``image-unsafe``.
        """
        reader = VerifiedReader(source, blob, on_read)
        name = f"layer {blob.digest}"
        try:
            for member, data in members_of(reader, name):
                self.look_at(member, data, name)
                if self.found is not None:
                    return
        except AgentError:
            reader.drain()  # where the layer is not the promised one, that is the cause to name
            raise
        reader.drain()
        self.end_layer()

    def look_at(self, member: Member, data: MemberData, name: str) -> MemberData:
        """One member of a layer that is read for other things as well; returns its data as if nobody had looked.

        ``name`` is what to call the layer; once everything is found, nothing is looked at. Raises ``AgentError``:
        ``image-unsafe``, ``image-too-large``, and as ``read_commit``.
        """
        if self.found is not None:
            return data
        try:
            match meaning(member.path):
                case Whiteout(path):
                    self._hide(path, itself=True)
                case Opaque(path):
                    self._hide(path, itself=False)
                case Ordinary(path):
                    if (most := self._wanted(path)) and member.kind is not Kind.DIRECTORY:
                        taken = data.take(most + 1)
                        self._keep(member, taken, most)
                        return MemberData(ByteStream(iter((taken,))), len(taken), name)
        except ValueError as error:
            raise _unsafe(name, member.path, str(error)) from error
        return data

    def end_layer(self) -> None:
        """The next member is of another layer."""
        self._layers.append(_Notes())

    def end(self, *, newest_first: bool = False) -> Found:
        """What the layers have together, all of them read, in this order.

        Raises ``AgentError``: ``os-image-unsupported`` where that is no OS or does not say what is in it, else as
        ``read_commit``.
        """
        kept = _laid_over(self._layers[::-1] if newest_first else self._layers)
        form, commit = self._commit(kept)
        if commit.kernels is not None:
            return Found(form, commit, commit.kernels)
        if _LIST not in kept:
            raise unsupported(f"the commit {commit.checksum} does not list its packages, nor does a {_LIST} beside it")
        return Found(form, commit, kernels_of(kept[_LIST]))

    def _wanted(self, path: str) -> int:
        """How large a file of this path may be; 0 for one that is not looked for."""
        if path == _LIST:
            return MAX_LIST
        if self.label:
            return MAX_COMMIT if path.endswith(".commit") and self._form_of(path) else 0
        if path.startswith(_REFS):
            return repository.MAX_REF
        return MAX_COMMIT if _ANY_COMMIT.fullmatch(path) else 0

    def _form_of(self, path: str) -> OsForm | None:
        own = repository.object_of(self.label, "commit")
        return {f"{_CONTAINER}/{own}": OsForm.CONTAINER, f"{repository.PLACE}/{own}": OsForm.REPOSITORY}.get(path)

    def _keep(self, member: Member, data: bytes, most: int) -> None:
        if member.kind is not Kind.FILE:
            raise ValueError(f"is {member.kind.value}, expected a file")
        self._bytes += len(data)
        if len(data) > most or self._bytes > MAX_KEPT:
            raise _too_large(
                f"{printable(member.path, 256)} has more than {most} bytes, or all of its kind more than {MAX_KEPT}"
            )
        self._layers[-1].files[member.path] = data
        if self.label and (form := self._form_of(member.path)) is not None:
            commit = read_commit(data, self.label)
            if commit.kernels is not None:
                self.found = Found(form, commit, commit.kernels)

    def _hide(self, path: str, *, itself: bool) -> None:
        if not _concerns(path):
            return
        self._bytes += len(path)
        if self._bytes > MAX_KEPT:
            raise _too_large(f"the layers hide names of more than {MAX_KEPT} bytes")
        hidden = self._layers[-1].hidden
        hidden[path] = itself or hidden.get(path, False)

    def _commit(self, kept: dict[str, bytes]) -> tuple[OsForm, Commit]:
        if not self.label:
            checksum = _only_ref(kept)
            path = f"{repository.PLACE}/{repository.object_of(checksum, 'commit')}"
            if path not in kept:
                raise _broken(f"the repository of the image has no commit {checksum}, which its branch names")
            return OsForm.REPOSITORY, read_commit(kept[path], checksum)
        for path, data in kept.items():
            if (form := self._form_of(path)) is not None:
                return form, read_commit(data, self.label)
        raise _broken(f"the image's label names the commit {self.label}, which is in none of its layers")


def search_for(label: str, derived: int) -> Search:
    """A search for the commit a label names (empty: no label), in an image with so many layers on top of its OS.

    Raises ``AgentError``: ``os-image-unsupported`` where there are any, for then the commit does not say any more what
    is in the image; ``image-unreadable`` for a label that is no checksum.
    """
    if derived:
        raise unsupported(f"{derived} layers of the image were put on top of its OS, and may change its packages")
    if label and not _CHECKSUM.fullmatch(label):
        raise _broken(f"the image's label names {printable(label, 80)!r} as its commit, which is not a checksum")
    return Search(label)


def kernels_of(listed: bytes) -> tuple[Nevra, ...]:
    """The packages of a ``pkglist.txt``, a NEVRA a line, whose name begins with ``kernel``; others may be anything.

    Lines that end in ``.rpm`` name files beside the OS. Raises ``AgentError`` (``image-unreadable``).
    """
    lines = (line.strip() for line in listed.decode("utf-8", "replace").splitlines())
    kernels = []
    for line in lines:
        if line.startswith("kernel") and not line.endswith(".rpm"):
            try:
                kernels.append(checked_nevra(Nevra.parse(line)))
            except ValueError as error:
                raise _broken(f"{_LIST} has a line that is no package: {printable(str(error), 256)}") from error
    return tuple(kernels)


def unsupported(what: str) -> AgentError:
    """``os-image-unsupported``, as a sentence."""
    return AgentError(Code.OS_IMAGE_UNSUPPORTED, what, _WAY_OUT)


def _laid_over(oldest_first: Sequence[_Notes]) -> dict[str, bytes]:
    kept: dict[str, bytes] = {}
    for layer in oldest_first:
        for path, itself in layer.hidden.items():
            below = f"{path}/" if path else ""
            kept = {
                name: data
                for name, data in kept.items()
                if not (itself and name == path) and not name.startswith(below)
            }
        kept |= layer.files
    return kept


def _only_ref(kept: dict[str, bytes]) -> str:
    refs = [data for path, data in kept.items() if path.startswith(_REFS)]
    if not refs and not any(_ANY_COMMIT.fullmatch(path) for path in kept):
        raise unsupported("the image is not one of an OS: no label names a commit, and no repository is in it")
    if len(refs) != 1:
        raise _broken(f"no label names a commit, and the image's repository has {len(refs)} branches, expected one")
    checksum = refs[0].decode("ascii", "replace").rstrip("\n")
    if not _CHECKSUM.fullmatch(checksum):
        raise _broken("the branch in the repository of the image is not a checksum")
    return checksum


def _concerns(path: str) -> bool:
    """Whether what hides this path may hide what is looked for."""
    return path == _LIST or meets(path, _CONTAINER) or repository.concerns(path)


def _broken(what: str) -> AgentError:
    return AgentError(Code.IMAGE_UNREADABLE, what, "the image was built wrong")


def _too_large(what: str) -> AgentError:
    return AgentError(Code.IMAGE_TOO_LARGE, what, "do not trust this image")


def _unsafe(name: str, path: str, what: str) -> AgentError:
    return AgentError(Code.IMAGE_UNSAFE, f"{printable(path, 256)} in {name} {what}", "the image was built wrong")
