"""What lies over this machine's /usr in a test host: the agent installed as a package installs it, and rpm-ostreed."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
UNITS = REPOSITORY / "systemd"
PACKAGING = REPOSITORY / "packaging"
_PACKAGES = ("mcd_rt", "tests", "rpm_rs", "zstandard", "yaml", "dbus_next", "inotify_simple", "tenacity")
_PACKAGES += ("prometheus_client",)
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
    "bin/mcd-rt": """\
#!/bin/sh
PYTHONPATH=/usr/lib/mcd-rt/python exec /usr/bin/python3 -m mcd_rt "$@"
""",
    "bin/rpm-ostree": """\
#!/bin/sh
[ "$1 $2" = "db list" ] || { echo "error: not simulated: $*" >&2; exit 64; }
echo "ostree commit: $3 ($3)"
exec ostree --repo=/ostree/repo cat "$3" /usr/share/simulated-packages
""",
    "lib/systemd/system/rpm-ostreed.service": """\
[Unit]
Description=rpm-ostree System Management Daemon (simulated on real deployments)
ConditionPathExists=/ostree
[Service]
Type=notify
BusName=org.projectatomic.rpmostree1
Environment=PYTHONPATH=/usr/lib/mcd-rt/python
ExecStart=/usr/bin/python3 -m tests.system.host.daemon
""",
    "lib/systemd/system/simulated-kernel.service": """\
[Unit]
Description=The kernel that the boot loader chose, as far as /proc and /sys tell
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec ' \\
    for name in osrelease version; do mount --bind /run/simulated/$name /proc/sys/kernel/$name; done; \\
    mount --bind /run/simulated/cmdline /proc/cmdline; mount -t tmpfs -o mode=0755 simulated /sys/kernel; \\
    if [ -e /run/simulated/realtime ]; then cp /run/simulated/realtime /sys/kernel/realtime; fi; \\
    cat /proc/sys/kernel/random/boot_id > /run/simulated-boot-id; umount /proc/sys/kernel/random/boot_id; \\
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
    """Fill an empty directory."""
    for name, text in _FILES.items():
        _write(usr / name, text)
    for name in ("bin/mcd-rt", "bin/rpm-ostree"):
        (usr / name).chmod(0o755)
    actions = "".join(_ACTION.format(name=name) for name in _ACTIONS)
    _write(usr / "share/polkit-1/actions/org.projectatomic.rpmostree1.policy", _POLICY.format(actions=actions))
    pretence = "lib/systemd/system/mcd-rt.service.d/90-simulated-kernel.conf"
    _write(usr / pretence.replace("mcd-rt.service", "mcd-rt-firstboot.service"), _FILES[pretence])
    for unit in UNITS.iterdir():
        shutil.copy(unit, usr / "lib/systemd/system")
    for source, target in (("polkit", "share/polkit-1/rules.d"), ("tmpfiles", "lib/tmpfiles.d")):
        for file in (PACKAGING / source).iterdir():
            (usr / target).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, usr / target)
    for name in _PACKAGES:
        _copy_package(name, usr / "lib/mcd-rt/python")


def _copy_package(name: str, library: Path) -> None:
    library.mkdir(parents=True, exist_ok=True)
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None, sys.path
    source = Path(spec.origin)
    if source.name == "__init__.py":
        shutil.copytree(source.parent, library / name, ignore=shutil.ignore_patterns("__pycache__", "captures"))
    else:
        shutil.copy(source, library)


def _write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
