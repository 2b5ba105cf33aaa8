"""Configs for stories about updates, as a node finds them."""

import json
from collections.abc import Sequence

from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.neighbours import write_current_config
from mcd_rt.sim.node import SimulatedNode
from tests.integration.releases import KernelRpms, Os


def wish(
    node: SimulatedNode,
    kernel_type: KernelType,
    wanted: Os,
    arguments: Sequence[str] = (),
    *,
    kernel: KernelRpms | None = None,
    **more: object,
) -> None:
    """Write a config that asks for an OS with its kernel; ``kernel`` are RPMs of another image than its own."""
    rpms = kernel or wanted.kernel
    spec: dict[str, object] = {"osImageURL": str(wanted.image), "kernelType": kernel_type.value, **more}
    if rpms.image != wanted.image:
        spec["baseOSExtensionsContainerImage"] = str(rpms.image)
    if arguments:
        spec["kernelArguments"] = [*arguments]
    identity = {"apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig"}
    config = identity | {"metadata": {"name": "99-worker"}, "spec": spec}
    write_current_config(node, json.dumps(config).encode())
