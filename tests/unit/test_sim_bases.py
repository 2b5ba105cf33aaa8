"""Ready-made operating systems, and updates from one to the next: which kernel packages may stay, come and go."""

import pytest

from mcd_rt.sim.bases import Release, base_of
from mcd_rt.sim.origin import apply_update
from mcd_rt.sim.profiles import PROFILES
from mcd_rt.sim.request import Update
from mcd_rt.sim.steps import Note, Outcome, Task
from mcd_rt.sim.world import Base, Origin, Rpm, System, Tree, fresh_system, name_of

NEW = PROFILES["2024.9"]
RT_RELEASE = "5.14.0-284.rt14.el9.x86_64+rt"
FILES = {at: Rpm(f"kernel-rt-{name}-5.14.0-284.rt14.el9.x86_64", str(at) * 64, RT_RELEASE)
         for at, name in enumerate(("core", "modules"))}  # fmt: skip


def updated(system: System, update: Update) -> Outcome:
    return apply_update(system, update, FILES, NEW)


def after(system: System, update: Update) -> System:
    outcome = updated(system, update)
    assert outcome.error == ""
    assert outcome.system is not None
    return outcome.system


def kernel_of(base: Base) -> tuple[str, ...]:
    return tuple(name for name in map(name_of, base.packages) if name.startswith("kernel") and "tools" not in name)


def on_old_base(*removed: str, release: Release = Release.EL9) -> System:
    old = base_of(release)
    bases = (old, *(base_of(each) for each in Release if each is not release))
    system = fresh_system("os", bases, Origin(old.refspecs[0]), "")
    return after(system, Update(remove=removed, install_local=(0, 1), no_pull_base=True))


@pytest.mark.parametrize("release", list(Release))
def test_a_ready_made_base_is_its_own_image_and_kernel(release: Release) -> None:
    made = base_of(release)
    assert made.image_digest.startswith("sha256:")
    assert made.find("kernel-core" if release is not Release.EL9_REALTIME else "kernel-rt-core")
    others = [base_of(each) for each in Release if each is not release]
    for field in ("checksum", "version", "kernel_release", "image_digest"):
        assert getattr(made, field) not in [getattr(other, field) for other in others]
    assert base_of(release, f"registry.example/x@sha256:{'f' * 64}").image_digest == f"sha256:{'f' * 64}"


def test_a_base_whose_kernel_is_real_time() -> None:
    tree = Tree(base_of(Release.EL9_REALTIME), Origin(""))
    assert (tree.realtime, tree.kernel_package, tree.layered) == (True, "kernel-rt-core", False)
    assert tree.kernel_release == "5.14.0-427.rt14.el9.x86_64+rt"


def test_a_kernel_subpackage_that_appears_must_be_removed_too() -> None:
    system = on_old_base(*kernel_of(base_of(Release.EL8)), release=Release.EL8)
    new = base_of(Release.EL9)
    refused = updated(system, Update(refspec=new.refspecs[0]))
    assert refused.error == (
        "Could not depsolve transaction; 1 problem detected:\n"
        " Problem: package kernel-modules-core-5.14.0-284.el9.x86_64 requires kernel-uname-r = 5.14.0-284.el9.x86_64,"
        " but none of the providers can be installed\n  - conflicting requests"
    )
    assert refused.system is None
    merged = after(system, Update(refspec=new.refspecs[0], remove=("kernel-modules-core",))).merge
    assert merged.tree.removed == tuple(new.find(name) for name in merged.tree.origin.removals)


def test_a_kernel_subpackage_that_disappears_is_told_and_no_obstacle() -> None:
    system = on_old_base(*kernel_of(base_of(Release.EL9)))
    new = base_of(Release.EL9_WITHOUT_EXTRA)
    outcome = updated(system, Update(refspec=new.refspecs[0]))
    assert (Note("Inactive base removals:") in outcome.steps, outcome.error) == (True, "")
    assert Note("  kernel-modules-extra") in outcome.steps
    assert outcome.system is not None
    assert "kernel-modules-extra" in outcome.system.merge.tree.origin.removals


@pytest.mark.parametrize(("removed", "broken", "capability"), [
    (("kernel-core",), "kernel-modules-extra", "kernel-uname-r"),  # recorded, 55
    (("kernel-core", "kernel-modules", "kernel-modules-core", "kernel-modules-extra"), "kernel", "kernel-core-uname-r"),
    (("kernel-modules-core",), "kernel-core", "kernel-modules-core-uname-r"),
])  # fmt: skip
def test_part_of_a_kernel_cannot_be_removed(removed: tuple[str, ...], broken: str, capability: str) -> None:
    base = base_of(Release.EL9)
    system = fresh_system("os", (base,), Origin(base.refspecs[0]), "")
    outcome = updated(system, Update(remove=removed, no_pull_base=True))
    assert f"package {base.find(broken)} requires {capability} = 5.14.0-284.el9.x86_64," in outcome.error
    assert outcome.steps[-1] == Task("Resolving dependencies")
