"""What blocks a node until somebody mends it on the node is noticed when it is mended: nobody has to say `retry`."""

import pytest

from mcd_rt.model.kernel import KernelType
from mcd_rt.sim.demokey import FILE_NAME, PUBLIC_KEY
from mcd_rt.sim.hostfiles import DAEMON_SETTINGS, lock_layering
from tests.integration.conftest import AGENT, served
from tests.integration.stories import configure

pytestmark = pytest.mark.story

RUNS = "realtime is wanted and runs"


def test_a_key_that_is_added_to_the_directory_of_keys_is_the_one_that_was_missing(play):
    async def story():
        async with served() as (scene, told):
            key = scene.node.paths.below("/etc/pki/rpm-gpg") / FILE_NAME
            key.write_text("not this one")
            scene.ask_for(KernelType.REALTIME)
            await scene.node.run_agent(AGENT)
            await told.wait_for("blocked", contains="no public key can be used")
            key.with_name("RPM-GPG-KEY-another").write_text(PUBLIC_KEY)
            await told.wait_for("steady", contains=RUNS)

    play(story())


def test_the_file_of_a_key_that_comes_is_the_one_that_was_missing(play):
    async def story():
        async with served() as (scene, told):
            configure(scene.node, '[content]\nkeys = ["/etc/vendor/key.asc"]\n')
            scene.ask_for(KernelType.REALTIME)
            await scene.node.run_agent(AGENT)
            await told.wait_for("blocked", contains="0 files of public keys are in /etc/vendor/key.asc")
            key = scene.node.paths.below("/etc/vendor/key.asc")
            key.parent.mkdir()
            key.write_text(PUBLIC_KEY)
            await told.wait_for("steady", contains=RUNS)

    play(story())


def test_layering_that_is_allowed_again_is_used(play):
    async def story():
        async with served() as (scene, told):
            lock_layering(scene.node.root)
            scene.ask_for(KernelType.REALTIME)
            await scene.node.run_agent(AGENT)
            await told.wait_for("blocked", contains="LockLayering is set in")
            (scene.node.root / DAEMON_SETTINGS).write_text("[Daemon]\n")
            await told.wait_for("steady", contains=RUNS)

    play(story())
