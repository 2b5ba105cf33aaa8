"""What the solver says, as far as it follows from names: the kernel packages of a base need their own core.

The sentence is the recorded one (``tests/captures``, 55). Which of several broken packages the genuine solver
names is its own affair; there it was the last by name, and here it always is.
"""

from mcd_rt.sim.steps import Refused
from mcd_rt.sim.world import Tree, name_of

_PREFIXES = ("kernel", "kernel-rt", "kernel-64k")


def check_dependencies(tree: Tree) -> None:
    """Raises ``Refused`` where the base's kernel went and one of its subpackages did not, or the other way round."""
    gone = {*tree.removed, *(old for _rpm, old in tree.replaced)}
    for prefix in _PREFIXES:
        core, modules_core = tree.base.find(f"{prefix}-core"), tree.base.find(f"{prefix}-modules-core")
        family = [nevra for nevra in tree.base.packages if nevra not in gone and _needs_core(name_of(nevra), prefix)]
        if core in gone and family:
            meta = name_of(max(family)) == prefix
            _unsolved(max(family), "kernel-core-uname-r" if meta else "kernel-uname-r", tree.base.kernel_release)
        if core and core not in gone and modules_core in gone:
            _unsolved(core, f"{prefix}-modules-core-uname-r", tree.base.kernel_release)
    for rpm in tree.origin.local:
        if tree.base.find(rpm.name) and rpm.name not in tree.origin.removals:
            raise Refused("Some base packages would be replaced")


def _needs_core(name: str, prefix: str) -> bool:
    return name in (prefix, f"{prefix}-modules", f"{prefix}-kvm") or name.startswith(f"{prefix}-modules-")


def _unsolved(nevra: str, capability: str, release: str) -> None:
    raise Refused(
        f"Could not depsolve transaction; 1 problem detected:\n Problem: package {nevra} requires "
        f"{capability} = {release}, but none of the providers can be installed\n  - conflicting requests"
    )
