"""The OS is ours to update, and the choice survives that: a table of nodes and configs, and exactly what follows."""

import pytest

from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.bases import Release
from mcd_rt.sim.world import Repository, Rpm
from tests.integration.asked import finalize, update
from tests.integration.changes import BOTH, Row, change, mixed
from tests.integration.releases import (
    CONTAINER,
    IMAGE_MODE,
    REPOSITORY,
    Os,
    kernel_rpms,
    os_of,
)

pytestmark = pytest.mark.story

DEFAULT, REALTIME = KernelType.DEFAULT, KernelType.REALTIME
EL8, EL9, NEXT, FEWER = map(os_of, (Release.EL8, Release.EL9, Release.EL9_NEXT, Release.EL9_WITHOUT_EXTRA))
C_EL9, C_NEXT = os_of(Release.EL9, CONTAINER), os_of(Release.EL9_NEXT, CONTAINER)
I_EL9, I_NEXT = (os_of(release, CONTAINER, index=True) for release in (Release.EL9, Release.EL9_NEXT))
FEW_RPMS = os_of(
    Release.EL9, REPOSITORY, kernel_rpms("5.14.0", "284.rt14.284.el9", ("core", "modules", "modules-core"))
)
SAME_RPMS = os_of(Release.EL9_NEXT, REPOSITORY, kernel_rpms("5.14.0", "284.rt14.284.el9"))
BROUGHT = os_of(Release.EL9_REALTIME, REPOSITORY, "none")
OLDER, NEWER = kernel_rpms("5.14.0", "284.rt14.284.el9"), kernel_rpms("5.14.0", "284.30.1.rt14.315.el9_2")
E_EL9 = os_of(Release.EL9, CONTAINER, OLDER)
E_NEXT = os_of(Release.EL9_NEXT, CONTAINER, NEWER)

TOOL = Rpm("site-tool-2.0-1.el9.x86_64", "a" * 64)
NEW_TOOLS = Rpm("kernel-tools-libs-5.14.0-999.el9.x86_64", "b" * 64)
OTHERS = {"packages": ("vim",), "replacements": (NEW_TOOLS,)}
LAYERED = tuple(f"kernel-rt-{part}-5.14.0-284.rt14.284.el9.x86_64" for part in ("core", "kvm", "modules"))
"""What the machine-config-daemon installs from a repository."""


def signed(published: Os) -> str:
    return f"ostree-image-signed:docker://{published.image.place}@{published.image.digest}"


ROWS = (
    Row(
        "an upgrade keeps realtime, machine-os-content",
        EL9.with_realtime(),
        EL9,
        NEXT,
        REALTIME,
        (update(install=5, uninstall=EL9.kernel.nevras, to=NEXT), finalize(NEXT)),
        NEXT.with_realtime(),
        profiles=BOTH,
    ),
    Row(
        "an upgrade keeps realtime, container",
        C_EL9.with_realtime(),
        C_EL9,
        C_NEXT,
        REALTIME,
        (update(install=5, uninstall=C_EL9.kernel.nevras, to=C_NEXT), finalize(C_NEXT)),
        C_NEXT.with_realtime(),
    ),
    Row(
        "an upgrade keeps realtime, container that the policy wants signed",
        C_EL9.with_realtime(),
        C_EL9,
        C_NEXT,
        REALTIME,
        (update(install=5, uninstall=C_EL9.kernel.nevras, to=C_NEXT, refspec=signed(C_NEXT)), finalize(C_NEXT)),
        mixed(C_NEXT.with_realtime(), refspec=signed(C_NEXT)),
        policy='{"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/key"}]}',
    ),
    Row(
        "an upgrade keeps realtime, packages in an extensions image",
        E_EL9.with_realtime(),
        E_EL9,
        E_NEXT,
        REALTIME,
        (update(install=5, uninstall=OLDER.nevras, to=E_NEXT), finalize(E_NEXT)),
        E_NEXT.with_realtime(),
    ),
    Row(
        "an upgrade keeps realtime, container behind an index",
        I_EL9.with_realtime(),
        I_EL9,
        I_NEXT,
        REALTIME,
        (update(install=5, uninstall=I_EL9.kernel.nevras, to=I_NEXT), finalize(I_NEXT)),
        I_NEXT.with_realtime(),
    ),
    Row(
        "the index that is booted already: nothing",
        I_EL9.with_realtime(),
        I_EL9,
        I_EL9,
        REALTIME,
        (),
        I_EL9.with_realtime(),
    ),
    Row(
        "an upgrade and the switch to realtime",
        EL9.plain(),
        EL9,
        NEXT,
        REALTIME,
        (update(install=5, remove=NEXT.kernels, to=NEXT), finalize(NEXT)),
        NEXT.with_realtime(),
    ),
    Row(
        "an upgrade and the switch back",
        EL9.with_realtime(),
        EL9,
        NEXT,
        DEFAULT,
        (update(uninstall=EL9.kernel.nevras, reset=EL9.kernels, to=NEXT), finalize(NEXT)),
        NEXT.plain(),
        profiles=BOTH,
    ),
    Row(
        "an upgrade of a node without realtime",
        EL9.plain(),
        EL9,
        NEXT,
        DEFAULT,
        (update(to=NEXT), finalize(NEXT)),
        NEXT.plain(),
    ),
    Row(
        "a downgrade keeps realtime",
        NEXT.with_realtime(),
        NEXT,
        EL9,
        REALTIME,
        (update(install=5, uninstall=NEXT.kernel.nevras, to=EL9), finalize(EL9)),
        EL9.with_realtime(),
    ),
    Row(
        "EL8 to EL9: kernel-modules-core appears",
        EL8.with_realtime(),
        EL8,
        EL9,
        REALTIME,
        (
            update(install=5, uninstall=EL8.kernel.nevras, remove=["kernel-modules-core"], to=EL9),
            finalize(EL9),
        ),
        EL9.with_realtime(),
        profiles=BOTH,
    ),
    Row(
        "EL9 to EL8: kernel-modules-core disappears",
        EL9.with_realtime(),
        EL9,
        EL8,
        REALTIME,
        (
            update(install=4, uninstall=EL9.kernel.nevras, reset=["kernel-modules-core"], to=EL8),
            finalize(EL8),
        ),
        EL8.with_realtime(),
    ),
    Row(
        "a name disappears from the base",
        NEXT.with_realtime(),
        NEXT,
        FEWER,
        REALTIME,
        (
            update(install=5, uninstall=NEXT.kernel.nevras, reset=["kernel-modules-extra"], to=FEWER),
            finalize(FEWER),
        ),
        FEWER.with_realtime(),
    ),
    Row(
        "the image has a new kernel-rt subpackage: only that is installed",
        FEW_RPMS.with_realtime(),
        FEW_RPMS,
        SAME_RPMS,
        REALTIME,
        (update(install=2, to=SAME_RPMS), finalize(SAME_RPMS)),
        SAME_RPMS.with_realtime(),
    ),
    Row(
        "the image has the identical kernel-rt: only the OS changes",
        EL9.with_realtime(),
        EL9,
        SAME_RPMS,
        REALTIME,
        (update(to=SAME_RPMS), finalize(SAME_RPMS)),
        SAME_RPMS.with_realtime(),
    ),
    Row(
        "a base that contains kernel-rt: ours goes",
        EL9.with_realtime(),
        EL9,
        BROUGHT,
        REALTIME,
        (update(uninstall=EL9.kernel.nevras, reset=EL9.kernels, to=BROUGHT), finalize(BROUGHT)),
        BROUGHT.plain(),
    ),
    Row(
        "a base that contains kernel-rt: nothing is installed",
        EL9.plain(),
        EL9,
        BROUGHT,
        REALTIME,
        (update(to=BROUGHT), finalize(BROUGHT)),
        BROUGHT.plain(),
    ),
    Row(
        "away from a base that contains kernel-rt",
        BROUGHT.plain(),
        BROUGHT,
        NEXT,
        DEFAULT,
        (update(to=NEXT), finalize(NEXT)),
        NEXT.plain(),
    ),
    Row(
        "other packages and overrides are kept, and what they come from is asked",
        mixed(EL9.with_realtime(**OTHERS), local=tuple(sorted((*EL9.kernel.rpms, TOOL), key=lambda rpm: rpm.nevra))),
        EL9,
        NEXT,
        REALTIME,
        (update(install=5, uninstall=EL9.kernel.nevras, to=NEXT, from_repositories=True), finalize(NEXT)),
        mixed(NEXT.with_realtime(**OTHERS), local=tuple(sorted((*NEXT.kernel.rpms, TOOL), key=lambda rpm: rpm.nevra))),
        repository=Repository("updates", ("vim",)),
    ),
    Row(
        "removals of others are kept, an inactive one too",
        mixed(EL9.with_realtime(), removals=(*EL9.kernels, "moby-engine", "podman")),
        EL9,
        NEXT,
        REALTIME,
        (update(install=5, uninstall=EL9.kernel.nevras, to=NEXT), finalize(NEXT)),
        mixed(NEXT.with_realtime(), removals=(*NEXT.kernels, "moby-engine", "podman")),
    ),
    Row(
        "realtime from a repository is replaced in the same assembly",
        mixed(EL9.plain(), packages=LAYERED, removals=tuple(EL9.kernels)),
        EL9,
        NEXT,
        REALTIME,
        (update(install=5, uninstall=LAYERED, to=NEXT), finalize(NEXT)),
        NEXT.with_realtime(),
        repository=Repository("updates", LAYERED),
    ),
)


@pytest.mark.parametrize(
    ("row", "version"),
    [pytest.param(row, version, id=f"{row.name}-{version}") for row in ROWS for version in row.profiles],
)
def test_an_update_is_asked_for_exactly_and_comes_up(play, row, version):
    play(change(row, version, IMAGE_MODE))
