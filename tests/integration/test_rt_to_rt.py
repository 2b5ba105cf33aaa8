"""RT → RT: other packages in the image, on the same base."""

from dataclasses import replace

import pytest

from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.bases import default_bases
from mcd_rt.sim.image import Layer, kernel_rt_packages, write_layout
from mcd_rt.sim.node import SimulatedNode
from mcd_rt.sim.scene import Scene, write_settings
from mcd_rt.sim.world import Origin
from tests.integration.conftest import AGENT, Told

pytestmark = pytest.mark.story

SUFFIXES = ("core", "modules", "modules-core", "modules-extra", "kvm")


def image_with(place, release):
    packages = kernel_rt_packages("5.14.0", release, "x86_64", 9)
    return write_layout(place, [Layer(packages)], tag=release, architecture="x86_64")


def names_of(release):
    return {f"kernel-rt-{suffix}-5.14.0-{release}.x86_64" for suffix in SUFFIXES}


def test_other_packages_in_the_image_replace_the_old_ones_in_one_assembly(play, tmp_path):
    older, newer = (image_with(tmp_path / release, release) for release in ("284.rt14.1.el9", "300.rt14.1.el9"))

    async def story():
        told = Told()
        # a base that does not say which image it came from, so that the image may change without it
        base = replace(default_bases(str(older))[0], refspecs=("rhcos:stable",))
        async with SimulatedNode((base,), booted=Origin("rhcos:stable"), on_event=told.hear) as node:
            write_settings(node, "[os]\naccept_unknown_base = true\n")
            Scene(node, older).ask_for(KernelType.REALTIME)
            await node.run_agent(AGENT)
            await told.wait_for("steady", contains="284.rt14.1")

            Scene(node, newer).ask_for(KernelType.REALTIME)
            await told.wait_for("steady", contains="300.rt14.1")
            assert {rpm.nevra for rpm in node.booted.tree.origin.local} == names_of("300.rt14.1.el9")
            assert (node.assemblies, node.reboots) == (2, 2)

            Scene(node, older).ask_for(KernelType.REALTIME)
            await told.wait_for("steady", contains="284.rt14.1")
            assert {rpm.nevra for rpm in node.booted.tree.origin.local} == names_of("284.rt14.1.el9")
            assert (node.assemblies, node.reboots) == (3, 3)

    play(story())
