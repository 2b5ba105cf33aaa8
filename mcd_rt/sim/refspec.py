"""What a refspec names: a container image, a commit, or a branch (``reference/rpm-ostree-dbus.md`` 1 and 2)."""

_CONTAINERS = ("ostree-unverified-registry:", "ostree-unverified-image:", "ostree-image-signed:", "ostree-remote-")
_DIGEST = "@sha256:"


def is_container(refspec: str) -> bool:
    """Whether it is a container image, by any of the transports and whatever enforces its signature."""
    return refspec.startswith(_CONTAINERS)


def is_checksum(refspec: str) -> bool:
    """Whether it is a commit: ``[remote:]SHA256``."""
    last = refspec.rpartition(":")[2]
    return len(last) == 64 and all(digit in "0123456789abcdef" for digit in last) and not is_container(refspec)


def image_digest(refspec: str) -> str:
    """``sha256:...`` of a container image that is pinned; else empty."""
    _place, found, digest = refspec.rpartition(_DIGEST)
    return f"sha256:{digest}" if found and is_container(refspec) else ""
