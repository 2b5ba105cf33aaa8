"""The smaller transactions, as pure functions: kernel arguments, clean-up, finalize.

Sources: ``reference/rpm-ostree-dbus.md`` 2, "Other methods", and its last section.
"""

from dataclasses import replace

from mcd_rt.sim.origin import restage
from mcd_rt.sim.profiles import Profile
from mcd_rt.sim.request import Dictionary, flag, strings, text
from mcd_rt.sim.steps import Note, Outcome, Refused
from mcd_rt.sim.world import System

_CLEANUPS = ("base", "pending-deploy", "rollback-deploy", "repomd")


def check_cleanup(kinds: list[str]) -> None:
    """Raises ``Refused`` for a kind that rpm-ostree does not know."""
    for kind in kinds:
        if kind not in _CLEANUPS:
            raise Refused(f"Invalid cleanup type: {kind}")


def clean_up(system: System, kinds: list[str]) -> Outcome:
    """Drop the staged deployment, or whatever is neither that nor booted nor pinned."""
    kept = [
        deployment
        for deployment in system.deployments
        if deployment.booted
        or (deployment.staged and "pending-deploy" not in kinds)
        or (not deployment.staged and (deployment.pinned or "rollback-deploy" not in kinds))
    ]
    if len(kept) == len(system.deployments):
        return Outcome((Note("Deployments unchanged."),) if kinds else ())
    return Outcome((), system=replace(system, deployments=tuple(kept)))


def finalize(system: System, options: Dictionary, profile: Profile, inhibitor: str) -> Outcome:
    """Unlock what is staged, if it has the expected *base* checksum, and reboot."""
    staged, checksum = system.staged, text(options, "checksum")
    if profile.finalize_is_strict and inhibitor:
        return Outcome((), error=inhibited(inhibitor))
    if staged is None:
        return Outcome((), error="No pending staged deployment found")
    if not checksum and not flag(options, "allow-missing-checksum"):
        return Outcome((), error="Missing expected checksum")
    found = staged.tree.base.checksum
    if checksum and checksum != found:
        return Outcome((), error=f"Expected staged base checksum {checksum}, but found {found}")
    if profile.finalize_is_strict and not staged.locked and not flag(options, "allow-unlocked"):
        return Outcome((), error="Staged deployment already unlocked")
    unlocked = tuple(replace(each, locked=False) if each.staged else each for each in system.deployments)
    return Outcome((), system=replace(system, deployments=unlocked), reboot=True)


def inhibited(why: str) -> str:
    """What rpm-ostree says of a block lock against a reboot (utils.cxx:422)."""
    return f"Reboot blocked by a systemd inhibitor lock in `block` mode\nHeld by: a simulated program\nReason: {why}"


def change_arguments(
    system: System, existing: str, lists: tuple[list[str], list[str], list[str]], options: Dictionary, profile: Profile
) -> Outcome:
    """Stage the merge deployment with ``existing`` arguments, some ``added``, ``replaced``, ``removed``.

    What the client passes as existing is what counts, not what the deployment has.
    """
    added, replaced, removed = lists
    words = existing.split()
    try:
        for entry in removed:
            words = _without(words, entry)
        for entry in replaced:
            words = _with_replaced(words, entry)
    except Refused as refused:
        return Outcome((), error=str(refused))
    words += added
    if profile.arguments_if_missing:
        words += [entry for entry in strings(options, "append-if-missing") if entry not in words]
        gone = strings(options, "delete-if-present")
        words = [word for word in words if word not in gone]
    lock, reboot = flag(options, "lock-finalization"), flag(options, "reboot")
    return restage(system, " ".join(words), profile, lock=lock, reboot=reboot)


def _without(words: list[str], entry: str) -> list[str]:
    matching = [word for word in words if word == entry or ("=" not in entry and word.startswith(f"{entry}="))]
    if not matching:
        raise Refused(f"No key '{entry.partition('=')[0]}' found")
    return [word for word in words if word != matching[0]]


def _with_replaced(words: list[str], entry: str) -> list[str]:
    key, _, value = entry.partition("=")
    old, separator, new = value.rpartition("=")
    wanted = f"{key}={old}" if separator else ""
    for position, word in enumerate(words):
        if word == wanted or (not wanted and word.partition("=")[0] == key):
            return [*words[:position], f"{key}={new}", *words[position + 1 :]]
    raise Refused(f"No key '{key}' found")
