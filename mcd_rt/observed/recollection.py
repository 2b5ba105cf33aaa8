"""What the last pass saw of the deployments, and whether it still holds.

A node must not wake rpm-ostreed because a file was written that does not concern the kernel. ostree changes
the modification time of its deployment directory with every change to the deployments, and keeps what is
staged, and that it is locked, in files below /run (ostree's ``ostree-sysroot.c``, ``ostree-sysroot-deploy.c``).
"""

from dataclasses import dataclass

from mcd_rt.fileidentity import identity_of
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.deployment import Deployments
from mcd_rt.model.nevra import Nevra

Identity = tuple[tuple[int, ...], ...]
"""The boot and the identities of files; empty where nothing can be told."""

_FILES = ("/ostree/deploy", "/run/ostree/staged-deployment", "/run/ostree/staged-deployment-locked")


@dataclass(slots=True)
class Recollection:
    """The deployments as they were when the files had this identity.

    ``base`` is the commit whose kernel packages were asked for last, with them: what is in a commit never changes.
    """

    identity: Identity = ()
    deployments: Deployments | None = None
    base: tuple[str, tuple[Nevra, ...]] = ("", ())

    def recall(self, identity: Identity) -> Deployments | None:
        """The deployments, if nothing has changed since they were read."""
        return self.deployments if identity and identity == self.identity else None

    def keep(self, identity: Identity, deployments: Deployments) -> None:
        """Keep what was read; ``identity`` must have been taken before."""
        self.identity, self.deployments = identity, deployments


def deployments_identity(paths: HostPaths, boot_id: str) -> Identity:
    """What changes whenever the deployments do; empty on a host that does not show it."""
    directory, *staged = (identity_of(paths.below(name)) for name in _FILES)
    return () if len(directory) == 1 else (tuple(boot_id.encode()), directory, *staged)
