"""What lies over this machine's /usr in a test host: the files of the self-contained packages, and rpm-ostreed.

The agent is the package's, with the interpreter that is in it. rpm-ostreed runs in this machine's Python, which can
load libostree's bindings, and has the simulator and the libraries of the package, at a place of its own: a host may be
one where the package is installed later.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.system.package import packages, unpack

REPOSITORY = Path(__file__).parents[3]
UNITS = REPOSITORY / "systemd"
PACKAGING = REPOSITORY / "packaging"
_INSTALLED = ("mcd-rt", "mcd-rt-simulator")
SIMULATED = "/usr/lib/simulated-rpm-ostreed"
"""Where the tests' own parts of a host are."""
PYTHON = ("env", f"PYTHONPATH={SIMULATED}", "/usr/bin/python3")
"""A command that runs them."""
_ACTIONS = [
    "install-uninstall-packages",
    "install-local-packages",
    "override",
    "deploy",
    "upgrade",
    "rebase",
    "rollback",
    "bootconfig",
    "reload-daemon",
    "cancel",
    "cleanup",
    "repo-refresh",
    "repo-modify",
    "client-management",
    "finalize-deployment",
]
"""All that the genuine rpm-ostree registers."""

_FILES = {
    "bin/rpm-ostree": f"""\
#!/bin/sh
[ "$1 $2" = "db list" ] || {{ echo "error: not simulated: $*" >&2; exit 64; }}
echo "ostree commit: $3 ($3)"
[ "$(id -u)" != 0 ] || exec {" ".join(PYTHON)} -m tests.system.host.dblist "$3"
exec ostree --repo=/ostree/repo cat "$3" /usr/share/simulated-packages
""",
    "lib/systemd/system/rpm-ostreed.service": f"""\
[Unit]
Description=rpm-ostree System Management Daemon (simulated on real deployments)
ConditionPathExists=/ostree
[Service]
Type=notify
BusName=org.projectatomic.rpmostree1
ExecStart={" ".join(PYTHON)} -m tests.system.host.daemon
""",
    "lib/systemd/system/simulated-kernel.service": """\
[Unit]
Description=The kernel that the boot loader chose, as far as /proc and /sys tell
DefaultDependencies=no
Before=sysinit.target systemd-journald.service
FailureAction=poweroff-force
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec ' \\
    for name in osrelease version; do mount --bind /run/simulated/$name /proc/sys/kernel/$name; done; \\
    mount --bind /run/simulated/cmdline /proc/cmdline; mount -t tmpfs -o mode=0755 simulated /sys/kernel; \\
    if [ -e /run/simulated/realtime ]; then cp /run/simulated/realtime /sys/kernel/realtime; fi; \\
    cat /proc/sys/kernel/random/boot_id > /run/simulated-boot-id; umount --lazy /proc/sys/kernel/random/boot_id; \\
    mount --bind /run/simulated-boot-id /proc/sys/kernel/random/boot_id; mkdir -p /run/ostree; touch /run/ostree-booted'
""",
    "lib/systemd/system/ostree-finalize-staged.path": """\
[Unit]
After=simulated-kernel.service
ConditionPathExists=/run/ostree-booted
DefaultDependencies=no
[Path]
PathExists=/run/ostree/staged-deployment
""",
    "lib/systemd/system/ostree-finalize-staged.service": """\
[Unit]
Description=OSTree Finalize Staged Deployment
ConditionPathExists=/run/ostree-booted
DefaultDependencies=no
RequiresMountsFor=/sysroot /boot
After=local-fs.target systemd-journal-flush.service
Before=basic.target final.target
Conflicts=final.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStop=/usr/bin/ostree admin finalize-staged
TimeoutStopSec=5m
""",
    "lib/systemd/system/ostree-boot-complete.service": """\
[Unit]
Description=OSTree Complete Boot
ConditionPathExists=/boot/ostree/finalize-failure.stamp
ConditionPathExists=/run/ostree-booted
[Service]
Type=oneshot
ExecStart=/usr/bin/ostree admin boot-complete
""",
    "lib/systemd/system/host.target": """\
[Unit]
Requires=basic.target dbus.service simulated-kernel.service
Wants=systemd-logind.service mcd-rt.service ostree-finalize-staged.path ostree-boot-complete.service
After=basic.target
AllowIsolate=yes
""",
    # On a host the unit sees the real /proc; here ProtectProc gives it a new one, which has to be dressed up again.
    "lib/systemd/system/mcd-rt.service.d/90-simulated-kernel.conf": """\
[Unit]
After=simulated-kernel.service
[Service]
BindReadOnlyPaths=/run/simulated/osrelease:/proc/sys/kernel/osrelease
BindReadOnlyPaths=/run/simulated/version:/proc/sys/kernel/version
BindReadOnlyPaths=/run/simulated/cmdline:/proc/cmdline
BindReadOnlyPaths=/run/simulated-boot-id:/proc/sys/kernel/random/boot_id
""",
    "share/dbus-1/system-services/org.projectatomic.rpmostree1.service": """\
[D-BUS Service]
Name=org.projectatomic.rpmostree1
Exec=/bin/false
User=root
SystemdService=rpm-ostreed.service
""",
    "share/dbus-1/system.d/org.projectatomic.rpmostree1.conf": """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy user="root"><allow own="org.projectatomic.rpmostree1"/></policy>
  <policy context="default">
    <allow send_destination="org.projectatomic.rpmostree1"/>
  </policy>
</busconfig>
""",
}
_ACTION = """\
  <action id="org.projectatomic.rpmostree1.{name}">
    <description>{name}</description><message>{name}</message>
    <defaults><allow_any>auth_admin</allow_any><allow_inactive>auth_admin</allow_inactive>\
<allow_active>auth_admin</allow_active></defaults>
  </action>
"""
_POLICY = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/PolicyKit/1/policyconfig.dtd">
<policyconfig>
{actions}</policyconfig>
"""


def write_layer(usr: Path) -> None:
    """Fill an empty directory: a host that has the packages."""
    _write_simulated(usr)
    _with_files_of_packages(usr, lambda root: shutil.copytree(root / "usr", usr, symlinks=True, dirs_exist_ok=True))
    pretence = "lib/systemd/system/mcd-rt.service.d/90-simulated-kernel.conf"
    _write(usr / pretence.replace("mcd-rt.service", "mcd-rt-firstboot.service"), _FILES[pretence])


def write_bare_layer(usr: Path) -> None:
    """The same without the packages: what starts there at boot is what is enabled."""
    _write_simulated(usr)
    target = usr / "lib/systemd/system/host.target"
    target.write_text(target.read_text().replace("mcd-rt.service", "multi-user.target"))
    _write(
        usr / "lib/systemd/system-preset/99-default-disable.preset", "disable *\n"
    )  # as the hosts we are for have it
    _write(usr / "bin/podman", f'#!/bin/sh\nexec {" ".join(PYTHON)} -m tests.system.host.podman "$@"\n')
    (usr / "bin/podman").chmod(0o755)


def users_of(usr: Path) -> Path:
    """The sysusers.d file of the package; an empty one on a host that has no package."""
    found = usr / "lib/sysusers.d/mcd-rt.conf"
    return found if found.exists() else Path("/dev/null")


def _write_simulated(usr: Path) -> None:
    for name, text in _FILES.items():
        _write(usr / name, text)
    (usr / "bin/rpm-ostree").chmod(0o755)
    actions = "".join(_ACTION.format(name=name) for name in _ACTIONS)
    _write(usr / "share/polkit-1/actions/org.projectatomic.rpmostree1.policy", _POLICY.format(actions=actions))
    own = usr / SIMULATED.removeprefix("/usr/")
    shutil.copytree(REPOSITORY / "tests", own / "tests", ignore=_all_but_the_hosts_own)
    libraries = "usr/lib/mcd-rt/python/site-packages"
    _with_files_of_packages(usr, lambda root: shutil.copytree(root / libraries, own, dirs_exist_ok=True))


def _with_files_of_packages(usr: Path, use: Callable[[Path], object]) -> None:
    """What `rpm-ostree install` does with the files: those of /usr; those of /etc are empty directories."""
    root = usr.with_name(f"{usr.name}-of-packages")
    root.mkdir()
    unpack([rpm for rpm in packages() if rpm.name.rsplit("-", 2)[0] in _INSTALLED], root)
    assert not [path for path in (root / "etc").rglob("*") if not path.is_dir()]
    use(root)
    shutil.rmtree(root)


def _all_but_the_hosts_own(folder: str, names: list[str]) -> list[str]:
    """Of the tests, only the packages that lead to this directory are on a host."""
    inside = Path(folder).relative_to(REPOSITORY)
    wanted = {"tests": {"system", "__init__.py"}, "tests/system": {"host", "__init__.py", "patience.py"}}
    kept = wanted.get(str(inside), set(names) - {"__pycache__"})
    return [name for name in names if name not in kept]


def _write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
