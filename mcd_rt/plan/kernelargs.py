"""Kernel arguments: which are wanted, which are ours, and what that changes.

By the machine-config-operator's rules order and duplicates are kept, and what a config asked for before is taken out
before what it asks for now is added at the end. Only what we put there is ever taken out, which the record knows;
what somebody else put there already satisfies the config and stays his.
"""

from mcd_rt.model.desired import Desired
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.plan import ArgumentsChange, OwnArguments
from mcd_rt.model.settings import Settings
from mcd_rt.plan.situation import Neighbour


def wanted_arguments(desired: Desired, settings: Settings, neighbour: Neighbour | None) -> tuple[str, ...]:
    """The arguments of the config, and those of the tuning while the real-time kernel is wanted.

    A machine-config-daemon brings those of its rendered config itself. None where they are left to others: that says
    nothing of what is there.
    """
    if not settings.kernel_arguments.manage:
        return ()
    configured = desired.kernel_arguments if neighbour is None else desired.added_arguments
    tuned = settings.tuning.kernel_arguments if desired.kernel_type is KernelType.REALTIME else ()
    return configured + tuned


def change_arguments(
    current: tuple[str, ...], own: OwnArguments, wanted: tuple[str, ...]
) -> tuple[ArgumentsChange | None, OwnArguments]:
    """What makes ``current`` arguments the wanted ones, and what is ours then; ``None`` where nothing is to be done.

    ``own`` are those of ours in ``current``.
    """
    ours = _intersection(own.ours, current)
    foreign = _without(current, ours)
    ours_then = _without(wanted, foreign)
    result = foreign + ours_then
    in_place = ours_then == ours and _is_subsequence(ours, current)
    if in_place or result == current:
        return None, OwnArguments(ours_then, tuple(a for a in own.gone if own.gone.count(a) > current.count(a)))
    return ArgumentsChange(current, ours_then, ours), OwnArguments(ours_then, _gone(current, own, result))


def _gone(current: tuple[str, ...], own: OwnArguments, result: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ours that are in ``result`` less often than they were, each once more than it still is there."""
    return tuple(
        repeated
        for argument in dict.fromkeys((*own.gone, *own.ours))
        if max(current.count(argument), own.gone.count(argument)) > result.count(argument)
        for repeated in (argument,) * (result.count(argument) + 1)
    )


def ours_among(current: tuple[str, ...], *known: tuple[str, ...]) -> tuple[str, ...]:
    """Which of ``current`` are ours where any of ``known`` may be what we put there, each as often as either says."""
    ours: tuple[str, ...] = ()
    for arguments in known:
        ours += _without(arguments, ours)
    return _intersection(ours, current)


def changed_arguments(change: ArgumentsChange) -> tuple[str, ...]:
    """The arguments after a change, as rpm-ostree makes them: it takes out the first that matches."""
    return _without(change.existing, change.remove) + change.add


def missing_arguments(wanted: tuple[str, ...], running: tuple[str, ...]) -> tuple[str, ...]:
    """Which of the wanted ones a running kernel does not have; boot loaders quote in ways of their own."""
    return _without(tuple(map(_bare, wanted)), tuple(map(_bare, running)))


def are_gone(arguments: tuple[str, ...], running: tuple[str, ...]) -> bool:
    """Whether a running kernel has each of the arguments less often than it is named."""
    named = tuple(map(_bare, arguments))
    return all(missing_arguments((argument,) * named.count(argument), running) for argument in named)


def _bare(argument: str) -> str:
    return argument.replace('"', "").replace("\\", "")


def _is_subsequence(ours: tuple[str, ...], current: tuple[str, ...]) -> bool:
    """Others may have added some in between since."""
    rest = iter(current)
    return all(argument in rest for argument in ours)


def _intersection(arguments: tuple[str, ...], present: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are present, as often as they are."""
    return _without(arguments, _without(arguments, present))


def _without(arguments: tuple[str, ...], taken: tuple[str, ...]) -> tuple[str, ...]:
    """``arguments`` less one occurrence, the first, for each of ``taken`` that is there."""
    left = list(arguments)
    for argument in taken:
        if argument in left:
            left.remove(argument)
    return tuple(left)
