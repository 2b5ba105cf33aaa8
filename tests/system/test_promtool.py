"""Prometheus's own tool has nothing to say against the metrics (Debian's ``prometheus`` brings it)."""

import asyncio
import subprocess

import pytest

from mcd_rt.effects import HostEffects
from mcd_rt.errors import Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Way
from mcd_rt.model.host import Host
from mcd_rt.model.settings import MetricsSettings, Settings
from mcd_rt.model.state import State
from mcd_rt.plan.outcome import Retry
from mcd_rt.report.exposition import open_exposition
from mcd_rt.report.metrics import Metrics
from mcd_rt.report.status import Status

FAILURE = Failure(Code.IMAGE_UNREADABLE, "no")


def use(metrics):
    """Some of everything."""
    metrics.show_host(Host("rhcos", "coreos", '4.5 "x"\\\n', "x86_64", "boot", "5.14+rt", realtime=True, ostree=True))
    metrics.show_status(Status(State.RETRYING, 1.5, "", 1, failure=FAILURE, next_attempt=2.5, wanted="realtime"))
    metrics.count_fetch(Way.PROXY, 71_000_000, 1.5, ok=True)
    metrics.count_pass(Retry(FAILURE), 0.2)
    metrics.count_failure(FAILURE.code)


def lint(text):
    return subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False, timeout=30)


async def scrape(root, *, used):
    effects, paths = HostEffects(), HostPaths(root)
    metrics = Metrics(effects, paths)
    settings = Settings(metrics=MetricsSettings("127.0.0.1:0", "/mcd-rt.prom"))
    if used:
        use(metrics)
    async with open_exposition(effects, paths, metrics, settings) as exposition:
        host, _, port = exposition.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain;version=0.0.4\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    return body


@pytest.mark.parametrize("used", [False, True])
def test_promtool_finds_nothing(tmp_path, used):
    for text in (asyncio.run(scrape(tmp_path, used=used)), (tmp_path / "mcd-rt.prom").read_bytes()):
        assert text.count(b"\n") > 300
        found = lint(text)
        assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")


def test_promtool_would_find_something():
    found = lint(b"# HELP mcd_rt_passes Passes.\n# TYPE mcd_rt_passes counter\nmcd_rt_passes 1\n")
    assert found.returncode != 0
    assert b"counter metrics should have" in found.stderr + found.stdout
