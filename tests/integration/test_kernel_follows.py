"""Others update the OS, and the kernel follows: a table of nodes and configs, and exactly what comes of them."""

from dataclasses import replace

import pytest

from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.bases import Release
from mcd_rt.sim.world import Repository
from tests.integration.asked import finalize, update
from tests.integration.changes import Row, change, mixed
from tests.integration.releases import CONTAINER, REPOSITORY, kernel_rpms, origin_of_mcd, os_of

pytestmark = pytest.mark.story

DEFAULT, REALTIME = KernelType.DEFAULT, KernelType.REALTIME
EL9, NEXT = os_of(Release.EL9), os_of(Release.EL9_NEXT)
BROUGHT = os_of(Release.EL9_REALTIME, REPOSITORY, "none")
SAME = os_of(Release.EL9_REALTIME, REPOSITORY, kernel_rpms("5.14.0", "427.rt14.el9"))
OLDER, NEWER = kernel_rpms("5.14.0", "284.rt14.284.el9"), kernel_rpms("5.14.0", "284.30.1.rt14.315.el9_2")
E_EL9 = os_of(Release.EL9, CONTAINER, OLDER)
INDEX = os_of(Release.EL9, CONTAINER, index=True)
E_INDEX = os_of(Release.EL9, CONTAINER, OLDER, index=True)
LAYERED = tuple(f"kernel-rt-{part}-5.14.0-284.rt14.284.el9.x86_64" for part in ("core", "kvm", "modules"))
"""What the machine-config-daemon installs from a repository."""

ROWS = (
    Row(
        "osImageURL names an index, of which the node has its platform's image",
        INDEX.plain(),
        INDEX,
        INDEX,
        REALTIME,
        (update(install=5, remove=INDEX.kernels), finalize(INDEX)),
        INDEX.with_realtime(),
    ),
    Row(
        "the node was brought to an index, and osImageURL names its platform's image",
        E_INDEX.plain(),
        E_INDEX,
        replace(E_INDEX, image=replace(E_INDEX.image, digest=E_INDEX.base.instance_digest)),
        REALTIME,
        (update(install=5, remove=E_INDEX.kernels), finalize(E_INDEX)),
        E_INDEX.with_realtime(),
    ),
    Row(
        "the extensions image moved: a newer kernel-rt for the same OS",
        E_EL9.with_realtime(),
        E_EL9,
        E_EL9,
        REALTIME,
        (update(install=5, uninstall=OLDER.nevras), finalize(E_EL9)),
        mixed(E_EL9.with_realtime(), local=NEWER.rpms),
        kernel=NEWER,
    ),
    Row(
        "the extensions image moved, with the same packages in it: nothing",
        E_EL9.with_realtime(),
        E_EL9,
        E_EL9,
        REALTIME,
        (),
        E_EL9.with_realtime(),
        kernel=replace(OLDER, image=NEWER.image),
    ),
    Row(
        "after somebody else's rebase the new kernel-rt follows",
        mixed(NEXT.with_realtime(), local=EL9.kernel.rpms, custom=origin_of_mcd(NEXT).custom),
        NEXT,
        NEXT,
        REALTIME,
        (update(install=5, uninstall=EL9.kernel.nevras), finalize(NEXT)),
        mixed(NEXT.with_realtime(), custom=origin_of_mcd(NEXT).custom),
    ),
    Row(
        "a base that contains kernel-rt: nothing",
        BROUGHT.plain(),
        BROUGHT,
        BROUGHT,
        REALTIME,
        (),
        BROUGHT.plain(),
    ),
    Row(
        "a base that contains the very kernel-rt that is layered: nothing, for a reboot would change nothing",
        mixed(SAME.plain(), local=SAME.kernel.rpms, removals=tuple(EL9.kernels)),
        SAME,
        SAME,
        REALTIME,
        (),
        mixed(SAME.plain(), local=SAME.kernel.rpms, removals=tuple(EL9.kernels)),
    ),
    Row(
        "the right local packages of another agent are adopted",
        EL9.with_realtime(),
        EL9,
        EL9,
        REALTIME,
        (),
        EL9.with_realtime(),
    ),
    Row(
        "the incomplete local packages of another agent are completed",
        mixed(EL9.with_realtime(), local=EL9.kernel.rpms[:3]),
        EL9,
        EL9,
        REALTIME,
        (update(install=2), finalize(EL9)),
        EL9.with_realtime(),
    ),
    Row(
        "other local packages of another agent are replaced",
        mixed(E_EL9.with_realtime(), local=NEWER.rpms),
        E_EL9,
        E_EL9,
        REALTIME,
        (update(install=5, uninstall=NEWER.nevras), finalize(E_EL9)),
        E_EL9.with_realtime(),
    ),
    Row(
        "realtime from a repository is replaced",
        mixed(EL9.plain(), packages=LAYERED, removals=tuple(EL9.kernels)),
        EL9,
        EL9,
        REALTIME,
        (update(install=5, uninstall=LAYERED), finalize(EL9)),
        EL9.with_realtime(),
        repository=Repository("updates", LAYERED),
    ),
    Row(
        "realtime from a repository goes back to the default kernel",
        mixed(EL9.plain(), packages=LAYERED, removals=tuple(EL9.kernels)),
        EL9,
        EL9,
        DEFAULT,
        (update(uninstall=LAYERED, reset=EL9.kernels), finalize(EL9)),
        EL9.plain(),
        repository=Repository("updates", LAYERED),
    ),
)


@pytest.mark.parametrize(
    ("row", "version"),
    [pytest.param(row, version, id=f"{row.name}-{version}") for row in ROWS for version in row.profiles],
)
def test_a_kernel_is_asked_for_exactly_and_comes_up(play, row, version):
    play(change(row, version))
