"""What `mcd-rt plan` says of an OS upgrade: what is removed, added and kept, how many transactions and reboots."""

import json
from dataclasses import replace

import pytest

from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.bases import Release
from mcd_rt.sim.world import Repository
from tests.integration.releases import IMAGE_MODE, node_with, os_of
from tests.integration.stories import kept, type_on
from tests.integration.wishes import wish

REALTIME = KernelType.REALTIME
EL9, FEWER = os_of(Release.EL9), os_of(Release.EL9_WITHOUT_EXTRA)
NEW = ("nohz_full=2-7", 'dyndbg="file drivers/x.c +p"')
WORDS = f"""\
switch to realtime: two assemblies, one change of kernel arguments, one reboot
  add kernel arguments: nohz_full=2-7, dyndbg="file drivers/x.c +p"
  bring the OS: {FEWER.image} (as {FEWER.base.checksum})
  install: {", ".join(FEWER.kernel.nevras)}
  uninstall: {", ".join(EL9.kernel.nevras)}
  restore in the base: kernel-modules-extra
  keep as it is: vim
  packages are layered, so that the change of kernel arguments is an assembly of its own
  nothing of it can be booted before all of it is staged
"""


def test_an_upgrade_with_arguments_in_words(play):
    async def story():
        booted = EL9.with_realtime(packages=("vim",))
        async with node_with(booted, (EL9, FEWER), settings=IMAGE_MODE) as (node, _told):
            node.rpm_ostree.system = replace(node.rpm_ostree.system, repository=Repository("updates", ("vim",)))
            wish(node, REALTIME, FEWER, NEW)
            before = kept(node)
            assert await type_on(node, "plan") == (2, WORDS)
            code, text = await type_on(node, "plan", "--json")
            document = json.loads(text)
            assert (code, document["plan"], document["transactions"], document["reboots"]) == (2, "change", 3, 1)
            assert document["changes"] == {
                "add_arguments": [*NEW],
                "take_arguments": [],
                "bring": [f"{FEWER.image} (as {FEWER.base.checksum})"],
                "install": FEWER.kernel.nevras,
                "uninstall": EL9.kernel.nevras,
                "remove": [],
                "restore": ["kernel-modules-extra"],
                "keep": ["vim"],
            }
            assert (kept(node), node.transactions) == (before, [])

    play(story())


@pytest.mark.parametrize(
    ("booted", "kernel_type", "words"),
    [
        (
            EL9.plain(),
            KernelType.REALTIME,
            "switch to realtime: one assembly, one change of kernel arguments, one reboot",
        ),
        (EL9.plain(), KernelType.DEFAULT, "switch to default: one change of kernel arguments, one reboot"),
        (
            EL9.with_realtime(),
            KernelType.REALTIME,
            "switch to realtime: one assembly, one change of kernel arguments, one reboot",
        ),
        (
            EL9.with_realtime(),
            KernelType.DEFAULT,
            "switch to default: one assembly, one change of kernel arguments, one reboot",
        ),
    ],
)
def test_how_many_assemblies_arguments_cost(play, booted, kernel_type, words):
    async def story():
        async with node_with(booted, (EL9,)) as (node, _told):
            wish(node, kernel_type, EL9, NEW)
            code, text = await type_on(node, "plan")
            assert (code, text.splitlines()[0]) == (2, words)

    play(story())
