"""The way back to the default kernel: which change is one, and what it does not undo."""

from collections.abc import Iterable

from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import Assembly, Change
from mcd_rt.model.record import Switch

NOT_UNDONE = "what others brought for the other kernel: files, kernel arguments, packages, a tuned profile"
"""What was never ours stays; of our own only what is kept to roll back to does (docs/going-back.md)."""


def is_way_back(change: Change) -> bool:
    """Whether a change takes another kernel out and leaves the default one."""
    takes_out = any(isinstance(step, Assembly) and (step.uninstall or step.reset) for step in change.steps)
    return takes_out and change.target.kernel_type is KernelType.DEFAULT


def went_back(switches: Iterable[Switch]) -> bool:
    """Whether of the switches that came up, oldest first, the last ended with the default kernel after another one."""
    came_up = [switch.kernel_type for switch in switches if switch.code is None]
    return came_up[-1:] == [KernelType.DEFAULT] and any(kind is not KernelType.DEFAULT for kind in came_up)
