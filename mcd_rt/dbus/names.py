"""D-Bus names, in one place. Sources: ``reference/rpm-ostree-dbus.md`` 1, 3 and 5."""

BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
PROPERTIES = "org.freedesktop.DBus.Properties"

RPM_OSTREE = "org.projectatomic.rpmostree1"
SYSROOT_PATH = "/org/projectatomic/rpmostree1/Sysroot"
SYSROOT = f"{RPM_OSTREE}.Sysroot"
OS = f"{RPM_OSTREE}.OS"
TRANSACTION = f"{RPM_OSTREE}.Transaction"

LOGIN = "org.freedesktop.login1"
LOGIN_PATH = "/org/freedesktop/login1"
LOGIN_MANAGER = f"{LOGIN}.Manager"

SYSTEMD = "org.freedesktop.systemd1"
SYSTEMD_PATH = "/org/freedesktop/systemd1"
SYSTEMD_MANAGER = f"{SYSTEMD}.Manager"
SYSTEMD_UNIT = f"{SYSTEMD}.Unit"

TUNED = "com.redhat.tuned"
TUNED_PATH = "/Tuned"
TUNED_CONTROL = f"{TUNED}.control"

GIO_ERROR = "org.gtk.GDBus.UnmappedGError.Quark._g_2dio_2derror_2dquark.Code"
"""Prefix of every rpm-ostreed error; the number behind it is GLib's ``GIOErrorEnum``."""
