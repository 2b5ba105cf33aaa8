"""Exactly what was asked of rpm-ostree, for tables of scenarios to compare with."""

from collections.abc import Sequence
from dataclasses import dataclass

from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.rpmostree import Finished
from tests.integration.releases import REPOSITORY, Os

_TITLE = "initiating-command-line"


@dataclass(frozen=True)
class Asked:
    """One transaction: the method, its modifiers and options, how many descriptors; without its title."""

    method: str
    modifiers: dict[str, object]
    options: dict[str, object]
    descriptors: int = 0


def update(
    *,
    install: int = 0,
    uninstall: Sequence[str] = (),
    remove: Sequence[str] = (),
    reset: Sequence[str] = (),
    to: Os | None = None,
    refspec: str = "",
    from_repositories: bool = False,
) -> Asked:
    """One ``UpdateDeployment`` of ours; ``to`` is the OS of a rebase."""
    names = {
        "override-remove-packages": [*remove],
        "override-reset-packages": [*reset],
        "uninstall-packages": [*uninstall],
        "install-local-packages": [*range(install)],
    }
    modifiers: dict[str, object] = {key: value for key, value in names.items() if value}
    options: dict[str, object] = {
        "cache-only": not from_repositories,
        "idempotent-layering": True,
        "lock-finalization": True,
    }
    if to is None:
        return Asked("UpdateDeployment", modifiers, options | {"no-pull-base": True}, install)
    options |= {"allow-downgrade": True, "skip-purge": False}
    modifiers["set-refspec"] = refspec or to.origin.refspec
    if to.form is REPOSITORY:
        modifiers["ex-local-repo-remote"] = install
        assert to.origin.custom is not None
        options["custom-origin"] = [*to.origin.custom]
    return Asked("UpdateDeployment", modifiers, options, install + (to.form is REPOSITORY))


def arguments(existing: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Asked:
    """One ``KernelArgs`` of ours on a deployment with these (``ostree=`` aside, which ostree writes itself)."""
    lists = {"existing": existing, "added": [*add], "replaced": [], "removed": [*remove]}
    return Asked("KernelArgs", lists, {"lock-finalization": True})


def finalize(booted: Os) -> Asked:
    """The end of each change: unlock what has this base, and reboot."""
    return Asked("FinalizeDeployment", {}, {"checksum": booted.base.checksum})


def asked_of(node: SimulatedNode, *, since: int = 0) -> list[Asked]:
    """What was asked of a node by whatever worked, in order, from the transaction of this number on."""
    return [_asked(each) for each in node.transactions[since:] if not each.error]


def _asked(finished: Finished) -> Asked:
    request = finished.request
    modifiers, options = dict(request.modifiers), dict(request.options)
    if finished.method in ("UpdateDeployment", "KernelArgs"):
        title = str(options.pop(_TITLE, ""))
        assert title.startswith("mcd-rt: "), title
    if "existing" in modifiers:
        words = str(modifiers["existing"]).split(" ")
        modifiers["existing"] = " ".join(word for word in words if not word.startswith("ostree="))
    return Asked(finished.method, modifiers, options, request.descriptors)
