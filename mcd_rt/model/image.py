"""References to images, as MachineConfigs and deployments spell them."""

import re

from mcd_rt.frozen import frozen

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@frozen
class ImageReference:
    """Where an image is (``place``) and which one it is (``digest``, else ``tag``).

    ``layout`` is true for an OCI layout on disk (``oci:/path[:tag][@sha256:...]``), false for a
    repository of a registry. ``digest`` is ``sha256:`` and 64 hex digits, or empty.
    """

    place: str
    tag: str
    digest: str
    layout: bool

    @classmethod
    def parse(cls, text: str) -> "ImageReference":
        """Parse ``oci:/path[:tag][@digest]`` or ``registry/repository[:tag][@digest]``.

        Raises ``ValueError`` that says what is wrong with it.
        """
        body, at, digest = text.partition("@")
        if at and not _DIGEST.fullmatch(digest):
            raise ValueError(f"the digest must be sha256: and 64 hex digits, found {digest!r}")
        layout = body.startswith("oci:")
        place, colon, tag = body.removeprefix("oci:").removeprefix("docker://").rpartition(":")
        if not colon or "/" in tag:
            place, tag = body.removeprefix("oci:").removeprefix("docker://"), ""
        if tag and not _TAG.fullmatch(tag):
            raise ValueError(f"the tag {tag!r} has characters a tag cannot have")
        if layout and not place.startswith("/"):
            raise ValueError(f"an OCI layout needs an absolute path, found {place!r}")
        if not place or not text.isprintable() or " " in text:  # the only white space that is printable
            raise ValueError(f"not an image reference: {text!r}")
        return cls(place, tag, digest, layout)

    def __str__(self) -> str:
        """The spelling that ``parse`` takes."""
        return (
            ("oci:" if self.layout else "")
            + self.place
            + (f":{self.tag}" if self.tag else "")
            + (f"@{self.digest}" if self.digest else "")
        )
