"""Name, epoch, version, release, architecture: the identity of an RPM."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Nevra:
    """An RPM's identity; printed as rpm-ostree does, epoch 0 left out (``rpm-ostree-dbus.md`` 1)."""

    name: str
    epoch: int
    version: str
    release: str
    architecture: str

    @classmethod
    def parse(cls, text: str) -> "Nevra":
        """``name-[epoch:]version-release.arch``; raises ``ValueError`` for anything else."""
        rest, dot, architecture = text.rpartition(".")
        name_version, dash, release = rest.rpartition("-")
        name, dash_too, epoch_version = name_version.rpartition("-")
        epoch, colon, version = epoch_version.rpartition(":")
        if not (dot and dash and dash_too and name and version and release and architecture) or (
            colon and not epoch.isdecimal()
        ):
            raise ValueError(f"not a name-[epoch:]version-release.arch: {text!r}")
        return cls(name, int(epoch) if colon else 0, version, release, architecture)

    def __str__(self) -> str:
        """The form rpm-ostree uses on D-Bus."""
        epoch = f"{self.epoch}:" if self.epoch else ""
        return f"{self.name}-{epoch}{self.version}-{self.release}.{self.architecture}"
