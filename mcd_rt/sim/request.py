"""``UpdateDeployment``'s two dictionaries as values.

Looked up by exact type: a value of another type is as good as absent, unknown keys are ignored
(``reference/rpm-ostree-dbus.md`` 2). Option names are the ones the code reads, not the documented ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcd_rt.dbus.wire import Message, Typed, Value, plain
from mcd_rt.sim.steps import Refused

Dictionary = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for, as it came: the arguments of a call by name, its options, how many descriptors.

    ``modifiers`` of ``UpdateDeployment`` are its own; of ``KernelArgs`` they are ``existing``, ``added``,
    ``replaced``, ``removed``, of ``PkgChange`` ``added`` and ``removed``, of ``Rebase`` ``refspec``, of ``Cleanup``
    ``kinds``. Values are without signatures.
    """

    modifiers: Mapping[str, Value] = field(default_factory=dict)
    options: Mapping[str, Value] = field(default_factory=dict)
    descriptors: int = 0


_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "UpdateDeployment": ("", "options"),
    "KernelArgs": ("existing", "added", "replaced", "removed", "options"),
    "PkgChange": ("options", "added", "removed"),
    "Rebase": ("options", "refspec", ""),
    "Cleanup": ("kinds",),
}


def read_request(call: Message) -> Request:
    """A call of the OS interface, for whoever wants to know exactly what was asked."""
    modifiers: dict[str, Value] = {}
    options: dict[str, Value] = {}
    for name, value in zip(_ARGUMENTS.get(call.member, ("options",)), map(plain, call.body), strict=True):
        match name, value:
            case "options", dict():
                options = value
            case "", dict():
                modifiers = value
            case "", _:
                pass  # packages of a Rebase, which nobody reads
            case _:
                modifiers[name] = value
    return Request(modifiers, options, len(call.descriptors))


@dataclass(frozen=True, slots=True)
class Update:
    """One request; indices point at the descriptors that came with it.

    ``imported`` is the commit that came out of the client's own repository; until then it is empty.
    """

    refspec: str = ""
    revision: str = ""
    install: tuple[str, ...] = ()
    uninstall: tuple[str, ...] = ()
    install_local: tuple[int, ...] = ()
    remove: tuple[str, ...] = ()
    reset: tuple[str, ...] = ()
    replace_local: tuple[int, ...] = ()
    replace_remote: tuple[str, ...] = ()
    repository_handle: int | None = None
    no_pull_base: bool = False
    no_layering: bool = False
    no_overrides: bool = False
    skip_purge: bool = False
    dry_run: bool = False
    cache_only: bool = False
    idempotent: bool = False
    lock: bool = False
    reboot: bool = False
    custom_origin: tuple[str, str] | None = None
    imported: str = ""

    @property
    def layers(self) -> bool:
        """Whether it changes what is layered or overridden."""
        packages = (self.install, self.uninstall, self.install_local, self.no_layering)
        return any(packages) or any((self.remove, self.reset, self.replace_local, self.no_overrides))

    @property
    def recognised(self) -> bool:
        """Whether anything is asked at all; else polkit has no action to ask for and says no (O:176-244)."""
        asked = (self.refspec, self.revision, self.install, self.uninstall, self.install_local, self.remove)
        more = (self.reset, self.replace_local, self.replace_remote, self.no_layering, self.no_overrides)
        return any(asked) or any(more) or not self.no_pull_base

    @property
    def descriptors(self) -> int:
        """How many it needs."""
        return len(self.install_local) + len(self.replace_local) + (self.repository_handle is not None)

    @property
    def title(self) -> str:
        """What it is called where the client says nothing (peer/a, peer/j)."""
        first = (
            (self.refspec, "rebase"),
            (self.revision, "deploy"),
            (self.install or self.install_local, "install"),
            (self.uninstall, "uninstall"),
            (self.remove or self.reset or self.replace_local, "override"),
        )
        counts = (
            (len(self.uninstall), "uninstall"),
            (len(self.install), "install"),
            (len(self.install_local), "localinstall"),
        )
        words = [next((word for asked, word in first if asked), "upgrade")]
        return "; ".join(words + [f"{word}: {count}" for count, word in counts if count])


def parse_update(modifiers: Dictionary, options: Dictionary) -> Update:
    """Take what has the right name and the right type."""
    return Update(
        refspec=text(modifiers, "set-refspec").removeprefix("ostree://"),
        revision=text(modifiers, "set-revision"),
        install=strings(modifiers, "install-packages"),
        uninstall=strings(modifiers, "uninstall-packages"),
        install_local=_handles(modifiers, "install-local-packages"),
        remove=strings(modifiers, "override-remove-packages"),
        reset=strings(modifiers, "override-reset-packages"),
        replace_local=_handles(modifiers, "override-replace-local-packages"),
        replace_remote=strings(modifiers, "override-replace-packages"),
        repository_handle=next(iter(_handles(modifiers, "ex-local-repo-remote", "h")), None),
        no_pull_base=flag(options, "no-pull-base"),
        no_layering=flag(options, "no-layering"),
        no_overrides=flag(options, "no-overrides"),
        skip_purge=flag(options, "skip-purge"),
        dry_run=flag(options, "dry-run") or flag(options, "download-only"),
        cache_only=flag(options, "cache-only"),
        idempotent=flag(options, "idempotent-layering"),
        lock=flag(options, "lock-finalization"),
        reboot=flag(options, "reboot"),
        custom_origin=_pair(options, "custom-origin"),
    )


def check_arguments(update: Update, received: int) -> None:
    """What contradicts itself, or comes with another number of descriptors than it names; raises ``Refused``."""
    if update.descriptors != received:
        raise Refused(f"Expected {update.descriptors} fds but received {received}")
    if update.skip_purge and not update.refspec:
        raise Refused("Can't specify skip-purge if not setting a new refspec")
    if update.no_pull_base and (update.refspec or update.revision):
        raise Refused("Can't specify no-pull-base if setting a new refspec or revision")
    if update.no_overrides and (update.remove or update.reset or update.replace_local or update.replace_remote):
        raise Refused("Can't specify no-overrides if setting override modifiers")
    if update.replace_remote:
        raise Refused("Non-local replacement overrides not implemented yet")
    if update.repository_handle is not None and not update.refspec:
        raise Refused("Missing ref for transient local rebases")
    if update.repository_handle is not None and update.revision:
        raise Refused("Revision overrides for transient local rebases not implemented yet")


def flag(options: Dictionary, key: str) -> bool:
    """A boolean option; absent is false."""
    return _lookup(options, key, "b") is True


def strings(options: Dictionary, key: str) -> tuple[str, ...]:
    """A list of strings; empty is absent."""
    value = _lookup(options, key, "as")
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def text(options: Dictionary, key: str) -> str:
    """A string; absent is empty."""
    return str(_lookup(options, key, "s") or "")


def command_line(options: Dictionary) -> str:
    """What the client says it was called with: the title."""
    return text(options, "initiating-command-line")


def _handles(options: Dictionary, key: str, signature: str = "ah") -> tuple[int, ...]:
    value = _lookup(options, key, signature)
    items = value if isinstance(value, list) else [value]
    return tuple(item for item in items if isinstance(item, int))


def _pair(options: Dictionary, key: str) -> tuple[str, str] | None:
    match _lookup(options, key, "(ss)"):
        case [str(first), str(second)]:
            return first, second
        case _:
            return None


def _lookup(options: Dictionary, key: str, signature: str) -> Value | None:
    value = options.get(key)
    return value.value if isinstance(value, Typed) and value.signature == signature else None
