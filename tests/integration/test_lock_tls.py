"""A lock server over TLS: who may vouch for it, and that nobody else's word is taken."""

import shutil
import ssl

import pytest

from mcd_rt.errors import Code
from tests.integration.clocked import TUESDAY, staged
from tests.integration.lockserver import lock_server
from tests.integration.test_strategies_on_node import arrives, waits
from tests.system.registry import make_authority

pytestmark = pytest.mark.story

CA = "/etc/mcd-rt/locks.crt"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return make_authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="module")
def another(tmp_path_factory):
    return make_authority(tmp_path_factory.mktemp("another") / "ca")


@pytest.fixture
def tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server_certificate, authority.server_key)
    return context


def test_an_authority_of_the_settings_is_believed(play, monkeypatch, authority, tls):
    async def story():
        async with lock_server(tls) as server, staged(monkeypatch, server.settings(f'ca = "{CA}"\n')) as stage:
            shutil.copy(authority.certificate, stage.node.paths.below(CA))
            await stage.reboots()
            assert server.holders == ["node-1"]
            await arrives(stage)
            assert server.asked == [("/base/v1/pre-reboot", "node-1"), ("/base/v1/steady-state", "node-1")]
            assert server.holders == []

    play(story())


@pytest.mark.parametrize("vouches", ["nobody", "somebody else", "an empty file", "a file that is not there"])
def test_whoever_nobody_vouches_for_is_told_nothing_and_grants_nothing(play, monkeypatch, another, tls, vouches):
    async def story():
        settings = "" if vouches == "nobody" else f'ca = "{CA}"\n'
        async with lock_server(tls) as server, staged(monkeypatch, server.settings(settings)) as stage:
            if vouches == "somebody else":
                shutil.copy(another.certificate, stage.node.paths.below(CA))
            elif vouches == "an empty file":
                stage.node.paths.below(CA).touch()
            outcome = await stage.rest()
            waits(outcome, "waits for the lock", until=TUESDAY + 120.0, code=Code.LOCK_UNREACHABLE)
            assert "certificate" in outcome.failure.message
            assert "reboot.fleet_lock.ca" in outcome.failure.hint
            assert (server.asked, stage.node.reboots) == ([], 0)

    play(story())


def test_a_name_that_the_certificate_does_not_have_is_not_believed(play, monkeypatch, authority, tls):
    async def story():
        async with (
            lock_server(tls, address="127.0.0.2") as server,
            staged(monkeypatch, server.settings(f'ca = "{CA}"\n')) as stage,
        ):
            shutil.copy(authority.certificate, stage.node.paths.below(CA))
            outcome = await stage.rest()
            waits(outcome, "waits for the lock", until=TUESDAY + 120.0, code=Code.LOCK_UNREACHABLE)
            assert "certificate" in outcome.failure.message
            assert server.asked == []

    play(story())
