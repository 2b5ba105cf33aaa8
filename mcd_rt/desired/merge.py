"""Many MachineConfigs → what they ask for together, by the machine-config-operator's rules.

``reference/machine-config-daemon.md`` 1.2: ordered by role (worker first) and name; another kernel type in any of
them beats ``default``, wherever it stands; FIPS in any of them counts; kernel arguments are all kept, in order. What
the operator resolves silently and to somebody's surprise is an error here: two kernel types other than ``default``,
and the ``kernel-devel`` extension next to one.
"""

from collections.abc import Iterable

from mcd_rt.errors import ConfigInvalid
from mcd_rt.model.desired import Desired, MachineConfig
from mcd_rt.model.kernel import KernelType

_WORKER = "worker"


def merge_configs(rendered: MachineConfig | None, added: Iterable[MachineConfig]) -> Desired:
    """What at least one config asks for: the rendered one of the node, and those that were added to it.

    Raises ``ConfigInvalid`` that names the two that contradict.
    """
    by_rank = sorted(added, key=lambda config: (config.role not in ("", _WORKER), config.name))
    ordered = [*([rendered] if rendered is not None else []), *by_rank]
    chosen = _kernel_type(ordered)
    wanted = chosen.kernel_type or KernelType.DEFAULT
    extending = next((config for config in ordered if "kernel-devel" in config.extensions), None)
    if wanted is not KernelType.DEFAULT and extending is not None:
        raise ConfigInvalid(
            f"{extending.source}: {extending.name} asks for the extension kernel-devel, which does not go with "
            f"{wanted} of {chosen.name} ({chosen.source})",
            "leave one of the two out",
        )
    return Desired(
        name=chosen.name,
        kernel_type=wanted,
        os_image=next((config.os_image for config in reversed(ordered) if config.os_image), ""),
        kernel_arguments=tuple(argument for config in ordered for argument in config.kernel_arguments),
        fips=any(said) if (said := [config.fips for config in ordered if config.fips is not None]) else None,
        extensions_image=next((config.extensions_image for config in reversed(ordered) if config.extensions_image), ""),
        added_arguments=tuple(argument for config in by_rank for argument in config.kernel_arguments),
        source=chosen.source,
    )


def _kernel_type(ordered: list[MachineConfig]) -> MachineConfig:
    """The config whose kernel type counts: the last that asks for another than the default, else the first."""
    others = [config for config in ordered if config.kernel_type not in (None, KernelType.DEFAULT)]
    contradicting = next((config for config in others if config.kernel_type is not others[0].kernel_type), None)
    if contradicting is not None:
        first = others[0]
        raise ConfigInvalid(
            f"{contradicting.source}: {contradicting.name} asks for {contradicting.kernel_type}, "
            f"{first.name} ({first.source}) for {first.kernel_type}",
            "a node has one kernel: leave one of the two out",
        )
    return others[-1] if others else ordered[0]
