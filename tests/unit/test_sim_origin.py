"""The simulated rpm-ostree's arithmetic: the texts and the order of the genuine one, as pure functions."""

from dataclasses import replace

import pytest

from mcd_rt.dbus.wire import Typed, plain
from mcd_rt.sim.argumentedits import Edits
from mcd_rt.sim.bootentry import boot_options
from mcd_rt.sim.origin import apply_update
from mcd_rt.sim.profiles import PROFILES
from mcd_rt.sim.properties import deployment_properties
from mcd_rt.sim.request import Update, check_arguments, parse_update
from mcd_rt.sim.steps import Note, Outcome, Refused, Task
from mcd_rt.sim.sysroot import change_arguments, check_cleanup, clean_up, finalize, roll_back
from mcd_rt.sim.world import Base, Origin, Repository, Rpm, System, Tree, fresh_system, reboot, stage

OLD, NEW = PROFILES["2020.8"], PROFILES["2024.9"]
RT_RELEASE = "5.14.0-284.rt14.el9.x86_64+rt"
KERNEL = ("kernel", "kernel-core", "kernel-modules")
IMAGE = "ostree-unverified-registry:registry.example/os@sha256:" + "a" * 64

SIGNED = "ostree-image-signed:docker://mirror.example/elsewhere@sha256:" + "a" * 64


def base(release: str, digit: str, refspec: str) -> Base:
    packages = (*(f"{name}-5.14.0-{release}.x86_64" for name in KERNEL), "bash-5.1-1.el9.x86_64")
    return Base(digit * 64, f"9.{digit}", packages, f"5.14.0-{release}.x86_64", (refspec,))


FIRST, SECOND = base("284.el9", "1", "os:stable"), base("362.el9", "2", "os:next")
CONTAINER = base("427.el9", "3", IMAGE)
CORE = Rpm("kernel-rt-core-5.14.0-284.rt14.el9.x86_64", "c" * 64, RT_RELEASE)
MODULES = Rpm("kernel-rt-modules-5.14.0-284.rt14.el9.x86_64", "d" * 64, RT_RELEASE)
HOTFIX = Rpm("kernel-core-5.14.0-284.1.el9.x86_64", "e" * 64, "5.14.0-284.1.el9.x86_64")
BASH = Rpm("bash-5.2-1.el9.x86_64", "f" * 64)
IN_BASE = "bash-5.1-1.el9.x86_64"
INSTALL_RT = Update(remove=KERNEL, install_local=(0, 1), no_pull_base=True)
FILES = {0: CORE, 1: MODULES}
ADD_B = Edits(added=("b",))


def fresh(origin: Origin = Origin("os:stable")) -> System:  # noqa: B008 - a frozen value
    return fresh_system("os", (FIRST, SECOND, CONTAINER), origin, "root=x rw")


def after(system: System, update: Update, files: dict[int, Rpm | str] | None = None, profile=OLD) -> System:
    outcome = apply_update(system, update, files or FILES, profile)
    assert outcome.error == ""
    assert outcome.system is not None
    return outcome.system


def realtime(*, lock: bool = False) -> System:
    return after(fresh(), replace(INSTALL_RT, lock=lock))


def asked(**fields: object) -> Update:
    return Update(no_pull_base=True, **fields)  # type: ignore[arg-type]


def test_realtime_is_one_deployment_with_its_own_checksum_and_kernel() -> None:
    system = realtime()
    staged = system.merge
    assert (staged.staged, staged.locked, staged.booted) == (True, False, False)
    assert staged.checksum != FIRST.checksum
    assert staged.tree.origin == Origin("os:stable", local=(CORE, MODULES), removals=tuple(sorted(KERNEL)))
    assert staged.tree.kernel_release == RT_RELEASE
    assert staged.tree.realtime
    assert system.booted.tree.kernel_release == "5.14.0-284.el9.x86_64"
    assert not system.booted.tree.realtime


IDEMPOTENCE = [
    ("uninstall", asked(uninstall=("foo",)), {}, "Package/capability 'foo' is not currently requested"),
    ("install", asked(install_local=(0,)), {0: CORE}, f"Package '{CORE.nevra}' is already layered"),
    ("remove", asked(remove=("kernel",)), {}, "Override already exists for package 'kernel'"),
    ("remove-by-nevra", asked(remove=(FIRST.packages[0],)), {}, "Override already exists for package 'kernel'"),
    ("remove-unknown", asked(remove=("nope",)), {}, 'Package "nope" not found'),
    ("reset", asked(reset=("bash",)), {}, "No overrides for package 'bash'"),
    ("in-base", asked(install_local=(0,)), {0: Rpm(IN_BASE, "0")}, f"Package '{IN_BASE}' is already in the base"),
    ("replaces-base", asked(install_local=(0,)), {0: BASH}, "Some base packages would be replaced"),
    ("equal-refs", Update(refspec="os:stable"), {}, "Old and new refs are equal: os:stable"),
    ("unknown-ref", Update(refspec="os:nope"), {}, "While pulling nope: Refspec 'nope' not found"),
    ("unreadable", asked(install_local=(0,)), {0: "it is no RPM"}, "it is no RPM"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("update", "files", "error"), [row[1:] for row in IDEMPOTENCE], ids=[row[0] for row in IDEMPOTENCE]
)
def test_refused_with_the_genuine_text(update: Update, files: dict[int, Rpm | str], error: str) -> None:
    outcome = apply_update(realtime(), update, files, OLD)
    assert (outcome.error, outcome.system) == (error, None)


@pytest.mark.parametrize(
    ("update", "error"),
    [
        (asked(uninstall=("foo",), idempotent=True), ""),
        (asked(install_local=(0,), idempotent=True), ""),
        (asked(remove=("kernel",), idempotent=True), "Override already exists for package 'kernel'"),
        (asked(reset=("bash",), idempotent=True), "No overrides for package 'bash'"),
    ],
)
def test_idempotent_layering_covers_layering_only(update: Update, error: str) -> None:
    outcome = apply_update(realtime(), update, FILES, OLD)
    assert (outcome.error, outcome.system) == (error, None)
    assert (Note("No change.") in outcome.steps) == (not error)


def test_same_nevra_with_other_content_is_a_mismatch() -> None:
    other = replace(CORE, sha256="9" * 64)
    outcome = apply_update(realtime(), asked(install_local=(0,), idempotent=True), {0: other}, OLD)
    assert outcome.error == f"Checksum mismatch for package {CORE.nevra}: expected {'c' * 64}, found {'9' * 64}"


def test_the_rust_port_names_the_digest_too() -> None:
    outcome = apply_update(realtime(), asked(install_local=(0,)), {0: CORE}, NEW)
    assert outcome.error == f"Package '{CORE.sha256}:{CORE.nevra}' is already layered"


def test_uninstall_comes_before_install_so_a_package_can_be_replaced_in_one() -> None:
    other = replace(CORE, sha256="9" * 64)
    system = after(realtime(), asked(uninstall=(CORE.nevra,), install_local=(0,)), {0: other})
    assert system.merge.tree.origin.local == (other, MODULES)


def test_uninstall_takes_the_name_of_a_local_package() -> None:
    system = after(realtime(), asked(uninstall=("kernel-rt-core", MODULES.nevra), reset=KERNEL))
    assert (system.merge.tree.layered, system.merge.checksum) == (False, FIRST.checksum)


def test_reset_comes_before_remove_so_both_of_one_name_are_legal() -> None:
    system = after(realtime(), asked(reset=("kernel",), remove=("kernel",)))
    assert system.merge.tree.origin == realtime().merge.tree.origin


def test_removals_are_checked_against_the_new_base() -> None:
    lacking = replace(SECOND, packages=SECOND.packages[1:])
    system = replace(fresh(), bases=(FIRST, lacking))
    assert (
        apply_update(system, Update(refspec="os:next", remove=("kernel",)), {}, OLD).error
        == 'Package "kernel" not found'
    )
    assert apply_update(system, asked(remove=("bash",)), {}, OLD).error == ""


def test_removals_that_a_new_base_lacks_are_inactive_and_said() -> None:
    lacking = replace(SECOND, packages=tuple(nevra for nevra in SECOND.packages if not nevra.startswith("bash")))
    system = after(fresh(), asked(remove=("bash",)))
    outcome = apply_update(replace(system, bases=(FIRST, lacking)), Update(refspec="os:next"), {}, OLD)
    assert Note("Inactive base removals:") in outcome.steps
    assert Note("  bash") in outcome.steps
    assert outcome.system is not None
    assert (outcome.system.merge.tree.removed, outcome.system.merge.checksum) == ((), lacking.checksum)


def test_a_replacement_of_no_package_is_inactive_and_one_of_the_kernel_replaces_it() -> None:
    inactive = apply_update(fresh(), asked(replace_local=(0,)), {0: CORE}, OLD)
    assert Note(f"  {CORE.nevra}") in inactive.steps
    assert inactive.system is not None
    assert inactive.system.merge.tree.kernel_release == FIRST.kernel_release
    hotfix = {at: replace(HOTFIX, nevra=HOTFIX.nevra.replace("kernel-core", name)) for at, name in enumerate(KERNEL)}
    active = after(fresh(), asked(replace_local=(0, 1, 2)), hotfix)
    assert active.merge.tree.kernel_release == HOTFIX.kernel_release
    assert sorted(old for _rpm, old in active.merge.tree.replaced) == [FIRST.find(name) for name in KERNEL]


@pytest.mark.parametrize(
    ("update", "profile", "error"),
    [
        (asked(reset=KERNEL), OLD, "Multiple subdirectories found in: usr/lib/modules"),
        (asked(reset=KERNEL), NEW, "Multiple kernels (vmlinuz) found in: usr/lib/modules"),
        (asked(uninstall=("kernel-rt-core", "kernel-rt-modules")), OLD, "/usr/lib/modules is empty"),
        (asked(uninstall=("kernel-rt-core",)), OLD, "Unable to find kernel (vmlinuz) in /boot or /usr/lib/modules"),
    ],
)
def test_exactly_one_kernel_may_be_there(update: Update, profile, error: str) -> None:
    outcome = apply_update(realtime(), update, {}, profile)
    assert outcome.error == error
    assert outcome.steps[-1] == Task("Writing rpmdb")


def test_no_layering_and_no_overrides_drop_everything() -> None:
    system = after(realtime(), asked(no_layering=True, no_overrides=True))
    assert system.merge.tree == fresh().merge.tree


def test_an_upgrade_of_a_pinned_commit_changes_nothing_and_says_why() -> None:
    outcome = apply_update(fresh(Origin(FIRST.checksum)), Update(), {}, OLD)
    assert outcome == Outcome((Note("Pinned to commit; no upgrade available."), Note("No upgrade available.")))


def test_a_branch_can_be_deployed_at_a_commit_of_its_own() -> None:
    tree = after(fresh(), Update(revision=FIRST.checksum, remove=("bash",))).merge.tree
    assert (tree.base, tree.origin.refspec) == (FIRST, "os:stable")
    outcome = apply_update(fresh(), Update(revision=SECOND.checksum), {}, OLD)
    assert outcome.error == f"Checksum {SECOND.checksum} not found in os:stable"


def test_a_requested_package_is_requested_once() -> None:
    system = replace(fresh(), repository=Repository("ext", ("foo",)))
    requested = after(system, asked(install=("foo",)))
    assert (
        apply_update(requested, asked(install=("foo",)), {}, OLD).error
        == "Package/capability 'foo' is already requested"
    )
    assert apply_update(requested, asked(install=("foo",), idempotent=True), {}, OLD).error == ""
    assert after(requested, asked(uninstall=("foo",))).merge.tree == system.merge.tree


def test_kernel_arguments_on_what_cannot_be_assembled_fail() -> None:
    broken = stage(realtime(), Tree(FIRST, Origin("os:stable", local=(CORE,))), "", locked=False)
    outcome = change_arguments(broken, "a", ADD_B, {}, OLD)
    assert outcome.error == "Multiple subdirectories found in: usr/lib/modules"


def test_a_rebase_keeps_packages_and_removals() -> None:
    system = after(realtime(), Update(refspec="os:next"))
    assert system.merge.tree == Tree(SECOND, replace(realtime().merge.tree.origin, refspec="os:next"))


@pytest.mark.parametrize(
    ("refspec", "becomes", "custom"),
    [
        (SECOND.checksum, f"os:{SECOND.checksum}", ("pivot://x", "y")),
        (f":{FIRST.checksum}", FIRST.checksum, ("pivot://x", "y")),
        (IMAGE, IMAGE, ("pivot://x", "y")),
        (SIGNED, SIGNED, ("pivot://x", "y")),
        ("os:next", "os:next", None),
    ],
)
def test_what_a_refspec_becomes(refspec: str, becomes: str, custom: tuple[str, str] | None) -> None:
    profile = NEW if "@" in refspec else OLD
    system = after(fresh(), Update(refspec=refspec, custom_origin=("pivot://x", "y")), profile=profile)
    assert (system.merge.tree.origin.refspec, system.merge.tree.origin.custom) == (becomes, custom)
    assert system.merge.tree.base == system.resolve(becomes)


def test_a_checksum_may_be_rebased_to_again() -> None:
    pinned = fresh(Origin(FIRST.checksum))
    assert after(pinned, Update(refspec=f":{FIRST.checksum}")).merge.serial == 1


@pytest.mark.parametrize(
    ("origin", "state"), [(FIRST.checksum, "pinned to commit"), (IMAGE, "tracking a container image reference")]
)
def test_a_revision_needs_a_branch(origin: str, state: str) -> None:
    outcome = apply_update(fresh(Origin(origin)), Update(revision=SECOND.checksum), {}, NEW)
    assert outcome.error == f"Cannot look up version while {state}"


def test_repositories_matter_only_where_they_are_read() -> None:
    wanting = asked(install=("foo",))
    assert apply_update(fresh(), wanting, {}, OLD).error == "No enabled repositories"
    away = replace(fresh(), repository=Repository("ext", ("foo",), reachable=False))
    assert apply_update(away, INSTALL_RT, FILES, OLD).error.startswith("Updating rpm-md repo 'ext':")
    assert apply_update(away, replace(INSTALL_RT, cache_only=True), FILES, OLD).error == ""
    there = replace(fresh(), repository=Repository("ext", ("foo",)))
    assert after(there, wanting).merge.tree.origin.packages == ("foo",)
    assert apply_update(there, asked(install=("bar",)), {}, OLD).error == "Packages not found: bar"


def test_dry_run_stops_after_solving() -> None:
    outcome = apply_update(fresh(), replace(INSTALL_RT, dry_run=True), FILES, OLD)
    assert (outcome.error, outcome.system, outcome.steps[-1]) == ("", None, Task("Resolving dependencies"))


def test_a_lock_survives_an_unlocked_restaging_on_2020_8_only() -> None:
    locked = realtime(lock=True)
    for profile, kept in ((OLD, True), (NEW, False)):
        assert after(locked, asked(remove=("bash",)), profile=profile).merge.locked == kept
        outcome = change_arguments(locked, "a", ADD_B, {}, profile)
        assert outcome.system is not None
        assert outcome.system.merge.locked == kept


@pytest.mark.parametrize(("locked", "finalized"), [(False, True), (True, True), (False, False)])
def test_at_a_reboot_only_what_is_unlocked_and_finalized_boots(*, locked: bool, finalized: bool) -> None:
    before = realtime(lock=locked)
    booted = reboot(before, finalize=finalized)
    if locked or not finalized:
        assert booted.deployments == fresh().deployments
    else:
        assert (booted.booted.checksum, booted.deployments[1].checksum) == (before.merge.checksum, FIRST.checksum)
    assert booted.staged is None


def test_a_third_deployment_stays_only_if_it_is_pinned() -> None:
    system = reboot(realtime(), finalize=True)
    for pinned in (False, True):
        rollback = replace(system.deployments[1], pinned=pinned)
        again = replace(system, deployments=(system.booted, rollback))
        staged = after(again, asked(uninstall=("kernel-rt-core", "kernel-rt-modules"), reset=KERNEL))
        assert [each.serial for each in reboot(staged, finalize=True).deployments] == ([1, 0, 0] if pinned else [1, 0])


def test_only_one_is_staged_and_assembled_checksums_are_never_the_same() -> None:
    first = realtime()
    second = stage(first, first.merge.tree, "other", locked=False)
    assert [each.staged for each in second.deployments] == [True, False]
    assert second.merge.checksum != first.merge.checksum


def test_what_contradicts_itself() -> None:
    for update, received, text in (
        (asked(install_local=(0, 1)), 1, "Expected 2 fds but received 1"),
        (asked(), 1, "Expected 0 fds but received 1"),
        (asked(skip_purge=True), 0, "Can't specify skip-purge if not setting a new refspec"),
        (asked(refspec="x"), 0, "Can't specify no-pull-base if setting a new refspec or revision"),
        (asked(no_overrides=True, reset=("x",)), 0, "Can't specify no-overrides if setting override modifiers"),
        (asked(replace_remote=("x",)), 0, "Non-local replacement overrides not implemented yet"),
    ):
        with pytest.raises(Refused) as refused:
            check_arguments(update, received)
        assert str(refused.value) == text


def test_a_value_of_the_wrong_type_is_as_good_as_absent() -> None:
    modifiers = {
        "override-remove-packages": Typed("s", "kernel"),
        "install-local-packages": Typed("ai", [0]),
        "uninstall-packages": Typed("as", ["a"]),
        "no-such-key": Typed("s", "x"),
    }
    options = {"no-pull-base": Typed("b", value=True), "lock-finalization": Typed("s", "true"), "cache-only": "true"}
    assert parse_update(modifiers, options) == asked(uninstall=("a",))
    assert not parse_update({}, options).recognised
    assert not parse_update({"set-refspec": Typed("as", ["x"])}, options).recognised
    assert parse_update({}, {}).recognised, "without no-pull-base it is an upgrade"


def test_everything_is_read_under_the_name_that_the_code_reads() -> None:
    strings = ("install-packages", "uninstall-packages", "override-remove-packages", "override-reset-packages")
    modifiers = {key: Typed("as", [key]) for key in strings} | {
        "set-refspec": Typed("s", "ostree://os:next"),
        "install-local-packages": Typed("ah", [0, 1]),
        "override-replace-local-packages": Typed("ah", [2]),
        "ex-local-repo-remote": Typed("h", 3),
    }
    update = parse_update(modifiers, {"custom-origin": Typed("(ss)", ["u", "d"]), "dry-run": Typed("b", value=True)})
    assert (update.install, update.uninstall, update.remove, update.reset) == tuple((key,) for key in strings)
    assert (update.refspec, update.descriptors, update.custom_origin) == ("os:next", 4, ("u", "d"))
    assert update.dry_run


def test_titles_of_clients_that_give_none() -> None:
    assert (
        Update(refspec="x", uninstall=("a",) * 4, install_local=(0, 1, 2)).title
        == "rebase; uninstall: 4; localinstall: 3"
    )
    assert asked(install_local=(0,)).title == "install; localinstall: 1"
    assert Update().title == "upgrade"


ARGUMENT_EDITS = [
    (Edits(added=("c=3",)), 'a=1 b a=2 q="x y" b c=3'),
    (Edits(added=("c d=4",)), 'a=1 b a=2 q="x y" b c d=4'),
    (Edits(added=("b",)), 'a=1 b a=2 q="x y" b b'),
    (Edits(replaced=("a=2=3",)), 'a=1 b a=3 q="x y" b'),
    (Edits(replaced=("a=3",)), "Multiple values for key 'a' found"),
    (Edits(replaced=("a=9=3",)), "No karg 'a=9' found"),
    (Edits(replaced=("q=z",)), "a=1 b a=2 q=z b"),
    (Edits(replaced=("x=2",)), "No key 'x' found"),
    (Edits(removed=("a=1",)), 'b a=2 q="x y" b'),
    (Edits(removed=("a",)), "Multiple values for key 'a' found"),
    (Edits(removed=("a=9",)), "No karg 'a=9' found"),
    (Edits(removed=("b",)), 'a=1 a=2 q="x y" b'),
    (Edits(removed=("q",)), "a=1 b a=2 b"),
    (Edits(removed=('q="x y"',)), "a=1 b a=2 b"),
    (Edits(removed=("x",)), "No key 'x' found"),
    (Edits(append_if_missing=("b", "d", "a=3")), 'a=1 b a=2 q="x y" b d a=3'),
    (Edits(delete_if_present=("b", "x", "a=3")), 'a=1 a=2 q="x y" b'),
    (Edits(delete_if_present=("b", "b", "b")), "No key 'b' found"),
    (Edits(delete_if_present=("a=1",), added=("a=3",)), 'b a=2 q="x y" b a=3'),
    (Edits(added=("c",), final="only this"), "only this"),
]  # fmt: skip
EXISTING = 'a=1 b a=2 q="x y" b'


@pytest.mark.parametrize(("edits", "expected"), ARGUMENT_EDITS)
def test_kernel_arguments_start_from_what_the_client_says_exists(edits: Edits, expected: str) -> None:
    outcome = change_arguments(realtime(), EXISTING, edits, {}, NEW)
    assert (outcome.system.merge.kernel_arguments if outcome.system else outcome.error) == expected


@pytest.mark.parametrize("edits", [
    Edits(), Edits(append_if_missing=("b",)), Edits(delete_if_present=("x",)), Edits(final=EXISTING),
    Edits(delete_if_present=('q="x y"',)),  # rpm-ostree cuts what exists at each space before it looks
])  # fmt: skip
def test_an_edit_that_changes_nothing_stages_nothing(edits: Edits) -> None:
    assert change_arguments(realtime(), EXISTING, edits, {}, NEW) == Outcome((Note("No changes."),))


@pytest.mark.parametrize("existing", ["a\nb", 'a="b'])
def test_arguments_that_cannot_be_read_are_refused(existing: str) -> None:
    outcome = change_arguments(fresh(), existing, ADD_B, {}, NEW)
    assert outcome.error.startswith("kernel arguments that no kernel can read")
    assert outcome.system is None


def test_what_ostree_writes_itself_is_not_kept_as_an_argument() -> None:
    outcome = change_arguments(fresh(), "a ostree=/ostree/boot.0/os/1/0 c", ADD_B, {}, NEW)
    assert outcome.system is not None
    assert outcome.system.merge.kernel_arguments == "a c b"
    options = boot_options(outcome.system, outcome.system.merge)
    assert options.startswith("a c b ostree=/ostree/boot.0/os/")
    assert options != boot_options(outcome.system, outcome.system.booted)


def test_kernel_arguments_assemble_a_layered_deployment_again_and_only_stage_a_plain_one() -> None:
    layered = change_arguments(realtime(), "a", ADD_B, {}, OLD)
    plain = change_arguments(fresh(), "a", ADD_B, {}, OLD)
    assert Task("Generating initramfs") in layered.steps
    assert plain.steps == (Task("Staging deployment"),)
    ignored = change_arguments(fresh(), "a", Edits(append_if_missing=("b",)), {}, OLD)
    assert ignored == Outcome((Note("No changes."),)), "2020.8 does not know it"


def test_clean_up() -> None:
    system = after(reboot(realtime(), finalize=True), asked(remove=("bash",)))
    assert len(system.deployments) == 3
    for kinds, left in (
        (["pending-deploy"], 2), (["rollback-deploy"], 2), (["pending-deploy", "rollback-deploy"], 1), (["base"], 3),
    ):  # fmt: skip
        outcome = clean_up(system, kinds)
        assert len((outcome.system or system).deployments) == left
        assert not outcome.writes
    assert clean_up(fresh(), ["pending-deploy"]) == Outcome((Note("Deployments unchanged."),))
    with pytest.raises(Refused, match="Invalid cleanup type: all"):
        check_cleanup(["base", "all"])


@pytest.mark.parametrize(
    ("system", "options", "profile", "error"),
    [
        (fresh(), {}, NEW, "No pending staged deployment found"),
        (realtime(lock=True), {}, NEW, "Missing expected checksum"),
        (realtime(lock=True), {"allow-missing-checksum": Typed("b", value=True)}, NEW, ""),
        (
            realtime(lock=True),
            {"checksum": Typed("s", "0" * 64)},
            NEW,
            f"Expected staged base checksum {'0' * 64}, but found {FIRST.checksum}",
        ),
        (realtime(), {"checksum": Typed("s", FIRST.checksum)}, NEW, "Staged deployment already unlocked"),
        (realtime(), {"checksum": Typed("s", FIRST.checksum)}, OLD, ""),
        (realtime(lock=True), {"checksum": Typed("s", FIRST.checksum)}, NEW, ""),
    ],
)
def test_finalize_compares_the_base_checksum(system: System, options, profile, error: str) -> None:
    outcome = finalize(system, options, profile, "")
    assert outcome.error == error
    assert outcome.reboot == (not error)
    if not error:
        assert outcome.system is not None
        assert not outcome.system.merge.locked


def test_finalize_honours_an_inhibitor_before_it_unlocks_where_the_version_does() -> None:
    options = {"checksum": Typed("s", FIRST.checksum)}
    assert "Reason: backup" in finalize(realtime(lock=True), options, NEW, "backup").error
    assert finalize(fresh(), options, NEW, "backup").error == "No pending staged deployment found"
    assert finalize(realtime(lock=True), options, OLD, "backup").error == ""


# A rollback


def test_a_rollback_puts_what_ran_before_first_and_another_one_undoes_it() -> None:
    system = reboot(realtime(), finalize=True)
    outcome = roll_back(system, reboot=False)
    assert outcome.steps == (Note(f"Moving '{FIRST.checksum}.0' to be first deployment"),)
    assert (outcome.writes, outcome.reboot) == (False, False)
    moved = outcome.system
    assert moved is not None
    assert [each.booted for each in moved.deployments] == [False, True]
    assert moved.staged is None
    again = roll_back(moved, reboot=True)
    assert again.reboot
    assert again.system == system
    for finalize_works in (True, False):  # it is on disk: nothing is left to do at shutdown
        booted = reboot(moved, finalize=finalize_works)
        assert (booted.booted.checksum, [each.booted for each in booted.deployments]) == (FIRST.checksum, [True, False])


def test_a_rollback_without_one_or_over_something_staged_is_refused() -> None:
    assert roll_back(fresh(), reboot=False).error == "No rollback deployment found"
    assert roll_back(realtime(), reboot=False).error == "Staged deployment (remove with cleanup -p)"
    pinned = replace(fresh().booted, checksum="9" * 64, booted=False, pinned=True)
    staged = replace(realtime(), deployments=(*realtime().deployments, pinned))
    assert roll_back(staged, reboot=False).error == "Staged deployment (remove with cleanup -p)"


# Where a base is pulled from


def test_cache_only_forbids_the_pull_of_a_branch_and_of_nothing_else() -> None:
    branch = apply_update(fresh(), Update(refspec="os:next", cache_only=True), {}, OLD)
    assert (branch.error, branch.system) == ("Refspec 'os:next' not found", None)
    assert after(fresh(), Update(refspec=IMAGE, cache_only=True), profile=NEW).merge.tree.base == CONTAINER
    assert after(fresh(), Update(refspec=f":{FIRST.checksum}", cache_only=True)).merge.tree.base == FIRST
    assert apply_update(fresh(), Update(cache_only=True), {}, OLD).error == "", "its own branch is there"


def test_a_commit_that_is_in_no_repository_is_not_there() -> None:
    missing = f"No such metadata object {SECOND.checksum}.commit"
    assert apply_update(fresh(), Update(refspec=f":{SECOND.checksum}"), {}, OLD).error == missing
    assert apply_update(fresh(Origin(FIRST.checksum)), Update(refspec=SECOND.checksum), {}, OLD).error == missing
    unknown = f"While pulling {'0' * 64}: Refspec '{'0' * 64}' not found"
    assert apply_update(fresh(), Update(refspec="0" * 64), {}, OLD).error == unknown
    imported = Update(refspec=f":{SECOND.checksum}", imported=SECOND.checksum, cache_only=True)
    assert after(fresh(), imported).merge.tree.base == SECOND


@pytest.mark.parametrize("refspec", [IMAGE, SIGNED])
def test_an_image_that_is_the_origin_already_is_no_rebase_but_an_upgrade_of_it_succeeds(refspec: str) -> None:
    system = fresh(Origin(refspec))
    assert system.booted.tree.base == CONTAINER, "a digest is the same from any mirror"
    equal = apply_update(system, Update(refspec=refspec), {}, NEW)
    assert equal.error == f"Old and new refs are equal: {refspec}"
    upgrade = apply_update(system, Update(), {}, NEW)
    assert upgrade == Outcome((Note(f"Pulling manifest: {refspec}"), Note("No upgrade available.")))
    other = {IMAGE: SIGNED, SIGNED: IMAGE}[refspec]
    assert after(system, Update(refspec=other), profile=NEW).merge.tree.origin.refspec == other


@pytest.mark.parametrize("refspec", [IMAGE, SIGNED])
def test_an_image_that_cannot_be_had(refspec: str) -> None:
    absent = refspec.replace("a" * 64, "b" * 64)
    outcome = apply_update(fresh(), Update(refspec=absent), {}, NEW)
    assert outcome.error.startswith("Creating importer: failed to invoke method OpenImage")
    assert absent.partition(":")[2].removeprefix("docker://") in outcome.error
    assert apply_update(fresh(), Update(refspec=refspec), {}, OLD).error == f"Invalid refspec {refspec}"


@pytest.mark.parametrize("refspec", [IMAGE, SIGNED, "ostree-unverified-registry:registry.example/os:latest"])
def test_the_digest_of_an_image_is_told_whatever_it_was_asked_by(refspec: str) -> None:
    system = fresh_system("os", (replace(CONTAINER, refspecs=(IMAGE, refspec)),), Origin(refspec), "")
    told = plain(deployment_properties(system.booted, "os", NEW))
    assert told["container-image-reference"] == refspec
    assert told["container-image-reference-digest"] == "sha256:" + "a" * 64
    assert "origin" not in told
