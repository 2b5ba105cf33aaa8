"""An assembly as ``UpdateDeployment``'s two dictionaries: ``reference/rpm-ostree-dbus.md`` 2 and 4."""

from mcd_rt.dbus.wire import Typed, Value
from mcd_rt.model.plan import Assembly


def update_modifiers(assembly: Assembly, packages: int, repository: int | None) -> dict[str, Value]:
    """What changes; ``packages`` is how many descriptors of RPMs there are, before that of the ``repository``."""
    names = {
        "override-remove-packages": assembly.remove,
        "override-reset-packages": assembly.reset,
        "uninstall-packages": assembly.uninstall,
    }
    modifiers: dict[str, Value] = {key: Typed("as", list(value)) for key, value in names.items() if value}
    if packages:
        modifiers["install-local-packages"] = Typed("ah", list(range(packages)))
    if assembly.rebase is not None:
        modifiers["set-refspec"] = Typed("s", assembly.rebase.refspec)
    if repository is not None:
        modifiers["ex-local-repo-remote"] = Typed("h", packages)
    return modifiers


def update_options(assembly: Assembly) -> dict[str, Value]:
    """How: locked or not, and without asking a repository for anything where no package comes from one.

    ``allow-downgrade`` is always said with another base, because its default is not what is documented. The digest
    of the packages keeps rpm-ostree from taking two calls for the same one ("Busy / join").
    """
    rebase = assembly.rebase
    options: dict[str, Value] = {
        "cache-only": Typed("b", value=rebase is None or not rebase.repositories),
        "idempotent-layering": Typed("b", value=True),
        "lock-finalization": Typed("b", value=assembly.locked),
        "initiating-command-line": Typed("s", f"mcd-rt: {_title(assembly)} rpms={assembly.digest}"),
    }
    if rebase is None:
        return options | {"no-pull-base": Typed("b", value=True)}
    options |= {"allow-downgrade": Typed("b", value=True), "skip-purge": Typed("b", value=False)}
    if rebase.custom_origin is not None:
        options["custom-origin"] = Typed("(ss)", list(rebase.custom_origin))
    return options


def _title(assembly: Assembly) -> str:
    kernel = "install " + " ".join(str(package.nevra) for package in assembly.install)
    if not assembly.install:
        kernel = "back to the default kernel" if assembly.layers else "the packages as they are"
    return kernel if assembly.rebase is None else f"rebase to {assembly.rebase.image}, {kernel}"
