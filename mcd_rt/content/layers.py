"""What is in one layer, and the RPMs that it contributes to an image, as a stream."""

from collections.abc import Iterator

from mcd_rt.content.archive import Kind, Member, MemberData, members
from mcd_rt.content.blob import VerifiedReader
from mcd_rt.content.decompress import unpacked
from mcd_rt.content.fields import printable
from mcd_rt.content.overlay import Layer, Shadow, in_place
from mcd_rt.errors import AgentError, Code


def rpms(blob: VerifiedReader, name: str, newer: Shadow, layer: Layer) -> Iterator[tuple[str, MemberData]]:
    """Path and data of each file that is offered as an RPM and not hidden by ``newer`` layers.

    ``name`` is what to call the layer, ``layer`` is filled with what it hides of older ones. Nothing is
    followed or unpacked: a link, device or sparse file in a place for RPMs is refused, elsewhere it is
    passed over. Raises ``AgentError``: ``image-unsafe`` and what ``unpacked`` and ``members`` raise.
    """
    for member, data in members_of(blob, name):
        if is_offered(member, name, newer, layer):
            yield member.path, data


def members_of(blob: VerifiedReader, name: str) -> Iterator[tuple[Member, MemberData]]:
    """Everything in a layer, in its order; raises ``AgentError``: what ``unpacked`` and ``members`` raise."""
    return members(unpacked(blob, lambda: blob.taken, name), name)


def is_offered(member: Member, name: str, newer: Shadow, layer: Layer) -> bool:
    """Whether a member of the layer is such a file; raises ``AgentError`` (``image-unsafe``)."""
    try:
        layer.add(member.path, directory=member.kind is Kind.DIRECTORY)
    except ValueError as error:
        raise _unsafe(name, member.path, str(error)) from error
    if member.kind is Kind.DIRECTORY or not in_place(member.path) or newer.hides(member.path):
        return False
    if member.kind is not Kind.FILE:
        raise _unsafe(name, member.path, f"is {member.kind.value}, expected a file")
    return True


def _unsafe(name: str, path: str, what: str) -> AgentError:
    return AgentError(
        Code.IMAGE_UNSAFE, f"{printable(path, 256)} in {name} {what}", "build the image with plain RPM files"
    )
