"""A lock server behind TLS: believed where its certificate is vouched for, and told as unreachable where it is not."""

import asyncio
import ssl
from dataclasses import replace

import pytest

from mcd_rt.content.lockserver import ask_lock_server
from mcd_rt.content.lockwords import LockFrame, LockRequest
from mcd_rt.errors import AgentError, Code
from tests.integration.lockserver import lock_server
from tests.system.registry import make_authority


def asked(place, change=lambda request: request):
    """What comes of asking a server with a certificate of an authority of its own, and what it was asked."""
    authority = make_authority(place / "authority")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.server_certificate, authority.server_key)

    async def story():
        async with lock_server(tls) as server:
            request = LockRequest(server.url, "workers", "node-1", True, str(authority.certificate), 10_000)
            return await asyncio.to_thread(ask_lock_server, change(request)), server.asked

    return asyncio.run(story())


def test_its_certificate_is_vouched_for_by_the_authority_of_the_settings(tmp_path):
    assert asked(tmp_path) == (LockFrame(granted=True), [("/base/v1/pre-reboot", "node-1")])


def test_without_that_authority_nothing_is_asked(tmp_path):
    with pytest.raises(AgentError, match="certificate") as raised:
        asked(tmp_path, lambda request: replace(request, ca=""))
    assert raised.value.failure.code is Code.LOCK_UNREACHABLE
