"""The smaller transactions, as pure functions: kernel arguments, clean-up, rollback, finalize.

Sources: ``reference/rpm-ostree-dbus.md`` 2, "Other methods", and its last section.
"""

from dataclasses import replace

from mcd_rt.sim.argumentedits import Edits, edited
from mcd_rt.sim.bootentry import OSTREE_ARGUMENT
from mcd_rt.sim.origin import restage
from mcd_rt.sim.profiles import Profile
from mcd_rt.sim.request import Dictionary, flag, text
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
    if staged is None:
        return Outcome((), error="No pending staged deployment found")
    if not checksum and not flag(options, "allow-missing-checksum"):
        return Outcome((), error="Missing expected checksum")
    found = staged.tree.base.checksum
    if checksum and checksum != found:
        return Outcome((), error=f"Expected staged base checksum {checksum}, but found {found}")
    if profile.finalize_is_strict and inhibitor:
        return Outcome((), error=inhibited(inhibitor))
    if profile.finalize_is_strict and not staged.locked and not flag(options, "allow-unlocked"):
        return Outcome((), error="Staged deployment already unlocked")
    unlocked = tuple(replace(each, locked=False) if each.staged else each for each in system.deployments)
    return Outcome((), system=replace(system, deployments=unlocked), reboot=True)


def inhibited(why: str) -> str:
    """What rpm-ostree says of a block lock against a reboot (utils.cxx:422)."""
    return f"Reboot blocked by a systemd inhibitor lock in `block` mode\nHeld by: a simulated program\nReason: {why}"


def roll_back(system: System, *, reboot: bool) -> Outcome:
    """Put the rollback deployment first, or the booted one again where there is none after it.

    Source: ``rollback_transaction_execute``. It is on disk at once: nothing is staged, nothing to finalize.
    """
    at = system.deployments.index(system.booted)
    before, after = system.deployments[:at], system.deployments[at + 1 :]
    if not before and not after:
        return Outcome((), error="No rollback deployment found")
    if system.staged is not None:
        return Outcome((), error="Staged deployment (remove with cleanup -p)")
    first = after[0] if after else system.booted
    others = tuple(each for each in system.deployments if each is not first)
    moved = Note(f"Moving '{first.checksum}.{first.serial}' to be first deployment")
    return Outcome((moved,), system=replace(system, deployments=(first, *others)), reboot=reboot)


def change_arguments(system: System, existing: str, edits: Edits, options: Dictionary, profile: Profile) -> Outcome:
    """Stage the merge deployment with other kernel arguments.

    What the client passes as existing is what counts, not what the deployment has; ``ostree=`` is written by
    ostree itself for the new deployment.
    """
    if not profile.arguments_if_missing:
        edits = replace(edits, append_if_missing=(), delete_if_present=())
    try:
        words = edited(existing, edits)
    except Refused as refused:
        return Outcome((), error=str(refused))
    if words is None:
        return Outcome((Note("No changes."),))
    kept = " ".join(word for word in words if not word.startswith(OSTREE_ARGUMENT))
    return restage(system, kept, profile, lock=flag(options, "lock-finalization"), reboot=flag(options, "reboot"))
