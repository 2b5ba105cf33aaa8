"""A connection to a registry by way of a proxy, and layers that survive its breaking.

The proxy is started again where it is of no use any more: a stalled request keeps it from answering others.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from mcd_rt.content.blob import Descriptor, Reader
from mcd_rt.content.manifest import MAX_DOCUMENT, Image
from mcd_rt.content.proxy import Proxy, open_proxy
from mcd_rt.content.skopeo import Skopeo
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.model.content import Way
from mcd_rt.model.image import ImageReference

TRIES = 4

_PAUSE = 0.5
_PIECE = 256 * 1024


@frozen
class Access:
    """How a registry is read: ``patience`` in seconds, a ``scratch`` directory for copies, and callbacks.

    ``pause`` waits that many seconds before the next try, ``alive`` is called while known bytes are read again,
    ``on_copied`` is told bytes copied and in all, ``on_found`` which image it is, how it is read and why so, before any
    of its layers is. ``meanwhile`` is called once a proxy was started, which takes a while to answer.
    """

    skopeo: Skopeo
    architecture: str
    max_layers: int
    patience: float
    scratch: Path
    pause: Callable[[float], None]
    alive: Callable[[], None]
    on_copied: Callable[[int, int], None]
    on_found: Callable[[Image, Way, str], None]
    meanwhile: Callable[[], None]


class Connection:
    """A proxy with the image open in it; started again when it is of no use any more."""

    def __init__(self, reference: ImageReference, access: Access) -> None:
        self._reference = reference
        self.access = access
        self._stack = ExitStack()
        self._proxy: Proxy | None = None
        self._image = 0
        self.version: tuple[int, ...] = ()

    def __enter__(self) -> Self:
        self._proxy = self._opened()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the proxy; the next call starts another."""
        self._proxy = None
        self._stack.close()

    def manifest(self) -> bytes:
        """The manifest as the proxy has it: converted where it is of Docker, resolved where it is of an index."""
        return self._live().manifest(self._image, MAX_DOCUMENT)

    @contextmanager
    def blob(self, blob: Descriptor) -> Iterator[Reader]:
        """The bytes of a blob, unverified; reading them raises ``AgentError`` where they break off or stall."""
        with self._live().blob(self._image, blob) as pipe:
            yield pipe

    def _live(self) -> Proxy:
        self._proxy = self._proxy or self._opened()
        return self._proxy

    def _opened(self) -> Proxy:
        skopeo = self.access.skopeo
        argv = skopeo.verb("experimental-image-proxy")
        try:
            proxy = self._stack.enter_context(
                open_proxy(argv, skopeo.environment, self.access.patience, str(self._reference), skopeo.descriptors)
            )
            self.access.meanwhile()
            self.version = proxy.initialize()
            self._image = proxy.open_image(address_of(self._reference))
        except AgentError:
            self._stack.close()
            raise
        return proxy


class Resumed:
    """The bytes of a layer over connections that may break: then it is asked for again, and what is known skipped.

    That the bytes before the break are the same the next time is proven by the digest of the whole.
    """

    def __init__(self, connection: Connection, layer: Descriptor) -> None:
        self._connection = connection
        self._layer = layer
        self._stack = ExitStack()
        self._source: Reader | None = None
        self._taken = 0
        self._tries = 0

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, none at the end; raises ``AgentError`` when it was tried often enough."""
        while True:
            try:
                data = self._read(size)
            except AgentError as error:
                self.close()
                self._connection.close()
                self._tries += 1
                if error.failure.code not in (Code.IMAGE_UNREADABLE, Code.WORKER_FAILED) or self._tries >= TRIES:
                    raise
                access = self._connection.access
                access.pause(min(_PAUSE * 2**self._tries, access.patience / 2))
            else:
                self._taken += len(data)
                return data

    def close(self) -> None:
        """Leave the rest."""
        self._source = None
        self._stack.close()

    def _read(self, size: int) -> bytes:
        if self._source is None:
            self._source = self._stack.enter_context(self._connection.blob(self._layer))
            left = self._taken
            while left:
                passed = self._source.read(min(left, _PIECE))
                if not passed:
                    what = f"blob {self._layer.digest} is shorter than it was before"
                    raise AgentError(Code.IMAGE_UNREADABLE, what, "look at the registry; it is tried again")
                left -= len(passed)
                self._connection.access.alive()
        return self._source.read(size)


def address_of(reference: ImageReference) -> str:
    """As skopeo wants it: not with a tag and a digest at once."""
    return f"docker://{reference.place}@{reference.digest}" if reference.digest else f"docker://{reference}"
