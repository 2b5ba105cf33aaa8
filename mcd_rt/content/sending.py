"""Packages from the layers of an image, passed on as frames; loaded while an image is being opened."""

import socket

from mcd_rt.content.archive import Member, MemberData
from mcd_rt.content.blob import VerifiedReader
from mcd_rt.content.frames import CHUNK, MAX_TOLD, AboutImage, FileFrame, PackageFrame
from mcd_rt.content.layers import is_offered, rpms
from mcd_rt.content.line import send_chunk, send_frame
from mcd_rt.content.overlay import Layer, Shadow
from mcd_rt.content.rpm import describe, peek
from mcd_rt.errors import AgentError, Code
from mcd_rt.model.packageset import is_complete


class Sender:
    """Passes on the RPMs whose header has a name that was asked for, within the limits."""

    def __init__(self, connection: socket.socket, request: AboutImage) -> None:
        """Whatever it is given goes to the connection."""
        self._connection = connection
        self._request = request
        self._sent: list[PackageFrame] = []
        self._shadow = Shadow()
        self._layer = Layer()
        self._over = False  # a fetch would not have come so far: the rest is told, not sent
        self._told = 0

    def is_whole(self) -> bool:
        """Whether what was sent is a whole kernel: packages of older layers are told from now on."""
        self._over = is_complete(self._sent, self._request.names, self._request.architecture)
        return self._over

    def send_layer(self, reader: VerifiedReader, name: str) -> None:
        """Everything that a layer, the next older one, contributes; raises ``AgentError``.

        What ``rpms`` raises, ``package-corrupt``, ``image-too-large``.
        """
        for path, data in rpms(reader, name, self._shadow, self._layer):
            self._send_if_wanted(path, data)
        self.end_layer()

    def take(self, member: Member, data: MemberData, name: str) -> None:
        """A member of a layer that is read for other things as well; raises as ``send_layer``."""
        if is_offered(member, name, self._shadow, self._layer):
            self._send_if_wanted(member.path, data)

    def end_layer(self) -> None:
        """The next member is of an older layer."""
        self._shadow = self._layer.above(self._shadow)
        self._layer = Layer()

    def _send_if_wanted(self, path: str, data: MemberData) -> None:
        size = data.left
        found = peek(data.read, path)
        if found.name not in self._request.names:
            return
        if self._over:
            self._tell(describe(found.prefix, path))
            return
        if len(self._sent) >= self._request.max_packages:
            raise _too_large(f"the image has more than {self._request.max_packages} of the packages asked for")
        if size > self._request.max_package_bytes:
            raise _too_large(f"{path} has {size} bytes, more than {self._request.max_package_bytes}")
        self._sent.append(describe(found.prefix, path))
        send_frame(self._connection, FileFrame(path, size))
        for start in range(0, len(found.prefix), CHUNK):
            send_chunk(self._connection, found.prefix[start : start + CHUNK])
        while chunk := data.take(CHUNK):
            send_chunk(self._connection, chunk)

    def _tell(self, package: PackageFrame) -> None:
        self._told += 1
        if self._told > MAX_TOLD:
            raise _too_large(f"the older layers of the image have more than {MAX_TOLD} of the packages asked for")
        send_frame(self._connection, package)


def _too_large(message: str) -> AgentError:
    return AgentError(Code.IMAGE_TOO_LARGE, message, "raise the limits in [content] if this image is meant")
