"""What a boot loader entry of a deployment says: its kernel arguments, and where ostree finds it again."""

import hashlib
from itertools import takewhile

from mcd_rt.sim.world import Deployment, System

OSTREE_ARGUMENT = "ostree="


def boot_options(system: System, deployment: Deployment) -> str:
    """The whole kernel command line but for what the boot loader adds itself.

    ``ostree=`` (recorded: 67) changes with every deployment. One that came with the arguments is kept.
    """
    arguments = deployment.kernel_arguments
    if any(word.startswith(OSTREE_ARGUMENT) for word in arguments.split(" ")):
        return arguments
    alike = takewhile(lambda each: each is not deployment, system.deployments)
    number = sum(each.checksum == deployment.checksum for each in alike)
    version = 0 if deployment.staged else 1
    place = f"/ostree/boot.{version}/{system.osname}/{boot_checksum(deployment)}/{number}"
    return f"{arguments} {OSTREE_ARGUMENT}{place}".lstrip()


def boot_checksum(deployment: Deployment) -> str:
    """The digest of its kernel and initramfs: what its files in /boot are named after."""
    return hashlib.sha256(f"{deployment.checksum} {deployment.tree.kernel_release}".encode()).hexdigest()
