"""What a package puts on a host beside the program: units, rules, examples, pages; and which package has what."""

import gzip
import shutil
from pathlib import Path
from typing import NamedTuple

_PLACES = (
    ("systemd", "*.service", "usr/lib/systemd/system"),
    ("systemd", "*.socket", "usr/lib/systemd/system"),
    ("systemd", "*.timer", "usr/lib/systemd/system"),
    ("systemd", "*.path", "usr/lib/systemd/system"),
    ("packaging/catalog", "*.catalog", "usr/lib/systemd/catalog"),
    ("packaging/sysusers", "*.conf", "usr/lib/sysusers.d"),
    ("packaging/tmpfiles", "*.conf", "usr/lib/tmpfiles.d"),
    ("packaging/polkit", "*.rules", "usr/share/polkit-1/rules.d"),
    ("packaging/sysctl.d", "*.conf", "usr/lib/mcd-rt/sysctl.d"),
    ("packaging/greenboot/required.d", "*.sh", "usr/lib/greenboot/check/required.d"),
    ("packaging/greenboot/mcd-rt.service.d", "*.conf", "usr/lib/systemd/system/mcd-rt.service.d"),
    ("packaging/monitoring", "**/*", "usr/share/mcd-rt/monitoring"),
    ("packaging/manifests", "**/*", "usr/share/mcd-rt/manifests"),
    ("packaging/hooks", "*.sh", "usr/share/mcd-rt/hooks"),
    ("packaging/examples", "**/*", "usr/share/mcd-rt/examples"),
    ("packaging/container", "install_on_host.py", "usr/share/mcd-rt"),
    ("packaging/container", "mcd-rt*", "usr/share/mcd-rt/container"),
    ("packaging/man", "*.[1-8]", "usr/share/man/man{section}"),
    ("packaging/completions", "*.bash", "usr/share/bash-completion/completions"),
    ("packaging/completions", "_mcd-rt", "usr/share/zsh/site-functions"),
    ("packaging/completions", "*.fish", "usr/share/fish/vendor_completions.d"),
    ("docs", "**/*.md", "usr/share/doc/mcd-rt"),
)
"""Where it is in the checkout, which files, where it goes. A place that a checkout has not is no error."""

_ALSO = (
    "usr/lib/mcd-rt/config.d",
    "usr/lib/mcd-rt/sysctl.d",
    "usr/lib/mcd-rt/pre-reboot.d",
    "usr/lib/mcd-rt/post-verify.d",
    "etc/mcd-rt/config.d",
    "etc/mcd-rt/machineconfig.d",
    "etc/mcd-rt/sysctl.d",
    "etc/mcd-rt/pre-reboot.d",
    "etc/mcd-rt/post-verify.d",
)
_OURS = ("mcd-rt", "mcd_rt")


class Lists(NamedTuple):
    """The lines of rpmbuild's ``%files -f``, for each package."""

    agent: list[str]
    simulator: list[str]
    greenboot: list[str]


def install_host_files(root: Path, top: Path) -> None:
    """Copy all of it from the checkout `top` below `root`; manual pages are compressed, as packages have them."""
    for source, pattern, destination in _PLACES:
        for file in sorted((top / source).glob(pattern)):
            if file.is_file():
                folder = root / destination.format(section=file.suffix[1:])
                target = folder / file.relative_to(top / source)
                if target.suffix == ".bash":
                    target = target.with_suffix("")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
                target.chmod(0o755 if file.suffix == ".sh" else 0o644)
    for page in (root / "usr/share/man").glob("man?/*"):
        page.with_name(f"{page.name}.gz").write_bytes(gzip.compress(page.read_bytes(), mtime=0))
        page.with_name(f"{page.name}.gz").chmod(0o644)
        page.unlink()
    for place in _ALSO:
        (root / place).mkdir(parents=True, exist_ok=True)


def list_files(root: Path) -> Lists:
    """Say of everything below `root` which package has it, and as what."""
    lists = Lists([], [], [])
    for path in sorted(root.rglob("*")):
        name, parts = f"/{path.relative_to(root)}", path.relative_to(root).parts
        if path.is_symlink() or path.is_file():
            _list_of(name, lists).append(_directive(name) + name)
        elif any(part.startswith(_OURS) for part in parts):
            _list_of(name, lists).append(f"%dir {name}")
    return lists


def _list_of(name: str, lists: Lists) -> list[str]:
    if name.startswith(("/usr/lib/greenboot/", "/usr/lib/systemd/system/mcd-rt.service.d")):
        return lists.greenboot
    inside = name.partition("/site-packages/mcd_rt/")[2]
    if inside.startswith(("sim", "cli/sim.", "cli/demo", "cli/__pycache__/sim.", "cli/__pycache__/demo")):
        return lists.simulator
    return lists.agent


def _directive(name: str) -> str:
    if name.startswith("/usr/share/licenses/"):
        return "%license "
    if name.startswith("/usr/share/doc/"):
        return "%doc "
    return ""
