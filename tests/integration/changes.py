"""One change of a node, from what is booted to what a config asks for: exactly what is asked for, and what comes up."""

from dataclasses import dataclass, replace

from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.node import ARGUMENTS
from mcd_rt.sim.profiles import DEFAULT
from mcd_rt.sim.world import Repository, Tree
from tests.integration.asked import Asked, asked_of
from tests.integration.conftest import AGENT
from tests.integration.releases import KernelRpms, Os, node_with, publish_kernel
from tests.integration.stories import leftovers
from tests.integration.wishes import wish

BOTH = ("2020.8", "2024.9")


@dataclass(frozen=True)
class Row:
    """One change, from ``booted``, a tree of the OS ``on``, to ``then``.

    ``kernel`` is another image of the packages than that of ``wants``; ``policy`` what the host demands of images.
    """

    name: str
    booted: Tree
    on: Os
    wants: Os
    kernel_type: KernelType
    asked: tuple[Asked, ...]
    then: Tree
    profiles: tuple[str, ...] = (DEFAULT,)
    kernel: KernelRpms | None = None
    policy: str = ""
    repository: Repository | None = None


def mixed(tree: Tree, **others: object) -> Tree:
    """The same base with other things on it."""
    return replace(tree, origin=replace(tree.origin, **others))


async def change(row: Row, version: str, settings: str = "") -> None:
    """Play a row with a version of rpm-ostree: one assembly and one reboot, or nothing at all."""
    async with node_with(row.booted, (row.on, row.wants), profile=version, settings=settings) as (node, told):
        node.rpm_ostree.system = replace(node.rpm_ostree.system, repository=row.repository)
        if row.kernel is not None:
            publish_kernel(node, row.kernel)
        if row.policy:
            policy = node.paths.below("/etc/containers/policy.json")
            policy.parent.mkdir(parents=True)
            policy.write_text(row.policy)
        wish(node, row.kernel_type, row.wants, kernel=row.kernel)
        await node.run_agent(AGENT)
        await told.wait_for("steady", contains=f"{row.kernel_type} is wanted and runs")
        assert asked_of(node) == list(row.asked)
        assert node.booted.tree == row.then
        assert node.booted.kernel_arguments == ARGUMENTS
        changes = bool(row.asked)
        assert (len(node.transactions), node.assemblies, node.reboots) == (len(row.asked), changes, changes)
        assert [each.tree for each in node.deployments[1:]] == [row.booted] * changes
        assert leftovers(node) == []
