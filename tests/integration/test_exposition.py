"""The metrics can be had, over HTTP and as a file, and whoever asks for them can do the agent no harm."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from mcd_rt.effects import HostEffects
from mcd_rt.errors import Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.host import Host
from mcd_rt.model.settings import MetricsSettings, RebootSettings, Settings
from mcd_rt.model.state import State
from mcd_rt.report.exposition import open_exposition
from mcd_rt.report.families import FAMILIES
from mcd_rt.report.metrics import Metrics
from mcd_rt.report.status import Status
from mcd_rt.report.textfile import TextFile
from tests.effects_double import EffectsDouble
from tests.leaks import run

FREE = "127.0.0.1:0"
PATIENCE = 20.0  # of the tests: no test waits as long as that
SHORT = 0.2  # of the server, where a test is about its end
SOCKET = "/run/mcd-rt/metrics.sock"


class Watched(EffectsDouble):
    """Effects that tell when a file is about to be written, and when one was replaced."""

    def __init__(self):
        super().__init__()
        self.begun = asyncio.Event()
        self.replaced = asyncio.Event()

    def create(self, path, mode):
        self.begun.set()
        return super().create(path, mode)

    def rename(self, source, target):
        super().rename(source, target)
        self.replaced.set()


def make_settings(listen=FREE, textfile=""):
    return Settings(metrics=MetricsSettings(listen, textfile), reboot=RebootSettings(per_day=7))


@contextlib.asynccontextmanager
async def exposed(root, chosen=None, patience=PATIENCE, effects=None):
    """Metrics of a node below ``root``, and what serves them."""
    effects, paths = effects or HostEffects(), HostPaths(root)
    metrics = Metrics(effects, paths)
    async with open_exposition(effects, paths, metrics, chosen or make_settings(), patience=patience) as exposition:
        yield metrics, exposition


async def connect(exposition, root=Path("/")):
    if exposition.address.startswith("unix:"):
        return await asyncio.open_unix_connection(HostPaths(root).below(exposition.address.removeprefix("unix:")))
    host, _, port = exposition.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def ask(exposition, request, root=Path("/")):
    """Status, header fields and body of the answer to raw bytes."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await connect(exposition, root)
        with contextlib.closing(writer):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):  # of a request that was not read to its end
                return parsed(head, await reader.read())
    return parsed(head, b"")


def parsed(head, body):
    line, *lines = head.decode().rstrip("\r\n").split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return int(line.split()[1]), fields, body


def get(path="/metrics", *fields, method="GET"):
    lines = (f"{method} {path} HTTP/1.1", "Host: x", *fields, "", "")
    return "\r\n".join(lines).encode()


async def gone(reader):
    """Wait until the server has closed the connection; what it said before."""
    async with asyncio.timeout(PATIENCE):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


# What is served


def test_a_scrape_has_all_metrics_and_those_of_the_process(tmp_path):
    async def story():
        async with exposed(tmp_path) as (metrics, exposition):
            metrics.show_status(Status(State.HELD, 5.0, "", 1))
            status, fields, body = await ask(exposition, get())
            assert (status, fields["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
            assert int(fields["Content-Length"]) == len(body)
            names = {family.name for family in parse_text(body.decode())}
            assert {family.name.removesuffix("_total") for family in FAMILIES} <= names
            assert {"mcd_rt_process_cpu_seconds", "mcd_rt_process_resident_memory_bytes"} <= names
            assert b'mcd_rt_state{state="held"} 1.0\n' in body
            assert b"mcd_rt_reboot_budget_left 7.0\n" in body
            metrics.show_status(Status(State.STEADY, 5.0, "", 1))
            assert b'mcd_rt_state{state="held"} 0.0\n' in (await ask(exposition, get()))[2]

    run(story())


def test_openmetrics_for_who_asks_for_it(tmp_path):
    async def story():
        async with exposed(tmp_path) as (_, exposition):
            accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
            status, fields, body = await ask(exposition, get("/metrics", accept))
            assert status == 200
            assert fields["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
            types = {family.name: family.type for family in parse_openmetrics(body.decode())}
            assert types["mcd_rt_build"] == "info"
            assert types["mcd_rt_passes"] == "counter"
            assert types["mcd_rt_pass_duration_seconds"] == "histogram"

    run(story())


def test_a_scrape_may_choose(tmp_path):
    async def story():
        async with exposed(tmp_path) as (_, exposition):
            _, _, body = await ask(exposition, get("/metrics?name[]=mcd_rt_up&name%5B%5D=mcd_rt_passes_total"))
            assert {family.name for family in parse_text(body.decode())} == {"mcd_rt_up", "mcd_rt_passes"}

    run(story())


def test_the_index_names_the_place(tmp_path):
    async def story():
        async with exposed(tmp_path) as (_, exposition):
            status, fields, body = await ask(exposition, get("/"))
            assert (status, fields["Connection"]) == (200, "close")
            assert body.startswith(b"mcd-rt ")
            assert body.endswith(b"metrics are at /metrics\n")

    run(story())


def test_head_is_get_without_a_body(tmp_path):
    async def story():
        async with exposed(tmp_path) as (_, exposition):
            status, fields, body = await ask(exposition, get(method="HEAD"))
            assert (status, body) == (200, b"")
            assert int(fields["Content-Length"]) > 10_000

    run(story())


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (get("/favicon.ico"), 404),
        (get("/metrics/"), 404),
        (get("//metrics"), 404),
        (get("/%6detrics"), 404),
        (get(method="POST"), 405),
        (get("/nowhere", method="OPTIONS"), 405),
        (get(method="get"), 400),
        (get("metrics"), 400),
        (get("/metrics with spaces"), 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET /metrics HTTP/2.0\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # somebody who speaks TLS
        (b"\r\n\r\n", 400),
        (get("/metrics", "no field"), 400),
        (get("/metrics", "Accept : text/plain"), 400),
        (get("/metrics", " folded: x"), 400),
        (get("/metrics", "X: a\0b"), 400),
        (get("/metrics", "X: " + "a" * 20_000), 431),
        (get("/" + "a" * 20_000), 431),
        (get("/metrics", "Accept: application/openmetrics-text; version=what"), 200),
        (get("/metrics", "Accept: text/plain; version=1.x.y; escaping=values"), 200),
        (get("/metrics", "ACCEPT:", "X-Empty:", "User-Agent: \u00fc"), 200),
        (get("/metrics?name[]=%ff%00&&=&name[]=" + "x" * 4000), 200),
        (get("/metrics?" + "&" * 5000), 200),
        (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
    ],
    ids=lambda value: value[:40].decode("latin-1").split("\r")[0] if isinstance(value, bytes) else str(value),
)
def test_anything_else_is_answered_too(tmp_path, request_, expected):
    async def story():
        async with exposed(tmp_path) as (_, exposition):
            status, fields, _ = await ask(exposition, request_)
            assert status == expected
            assert fields.get("Allow", "GET, HEAD" if status != 405 else "") == "GET, HEAD"
            assert (await ask(exposition, get()))[0] == 200

    run(story())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from([b"", b"GET /metrics", b"GET /metrics HTTP/1.1\r\nAccept: "]))
def test_whatever_is_sent_is_answered_or_refused(tmp_path, noise, beginning):
    async def story():
        async with exposed(tmp_path) as (_, exposition):
            status, _, _ = await ask(exposition, beginning + noise + b"\r\n\r\n")
            assert status in (200, 400, 404, 405)

    run(story())


# Clients that are no good


@pytest.mark.parametrize("said", [b"", b"GET /metrics HTTP/1.1\r\n", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r"])
def test_a_silent_client_is_dropped_and_keeps_nobody_waiting(tmp_path, said):
    async def story():
        async with exposed(tmp_path, patience=SHORT) as (_, exposition):
            reader, writer = await connect(exposition)
            with contextlib.closing(writer):
                writer.write(said)
                assert (await ask(exposition, get()))[0] == 200
                assert await gone(reader) == b""

    run(story())


def test_a_client_that_drips_has_one_deadline_for_all_of_it(tmp_path):
    async def story():
        async with exposed(tmp_path, patience=SHORT) as (_, exposition):
            reader, writer = await connect(exposition)
            dropped = asyncio.ensure_future(gone(reader))
            with contextlib.closing(writer):
                writer.write(b"GET /metrics HTTP/1.1\r\n")
                while not dropped.done():
                    writer.write(b"X: y\r\n")
                    await asyncio.wait((dropped,), timeout=SHORT / 10)
                assert await dropped == b""

    run(story())


def test_a_client_that_never_ends_is_told_so_and_dropped(tmp_path):
    async def story():
        async with exposed(tmp_path) as (_, exposition):
            reader, writer = await connect(exposition)
            answered = asyncio.ensure_future(reader.readline())
            with contextlib.closing(writer):
                writer.write(b"GET /metrics HTTP/1.1\r\n")
                with contextlib.suppress(ConnectionError):
                    while not answered.done():
                        writer.write(b"X: " + b"y" * 1000 + b"\r\n")
                        await writer.drain()
                        await asyncio.wait((answered,), timeout=0)
                assert await answered == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"

    run(story())


def test_a_client_that_does_not_take_its_answer_is_dropped(tmp_path):
    """Its answer is larger than what the kernel keeps for it, so that it would be ours to keep."""

    async def story():
        async with exposed(tmp_path, make_settings(f"unix:{SOCKET}"), patience=SHORT) as (metrics, exposition):
            metrics.show_host(Host("x" * (8 << 20), "", "", "", "", "", realtime=True, ostree=True))
            greedy = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with greedy:
                greedy.connect(str(tmp_path / SOCKET.lstrip("/")))
                greedy.sendall(get())
                greedy.setblocking(False)
                taken = len(await asyncio.get_running_loop().sock_recv(greedy, 1))
                clients = exposition._serving.server._clients
                await asyncio.wait(tuple(clients), timeout=PATIENCE)
                assert not clients
                greedy.settimeout(PATIENCE)
                while data := greedy.recv(1 << 20):
                    taken += len(data)
                assert 0 < taken < 8 << 20

    run(story())


@pytest.mark.parametrize("size", range(100_000, 400_000, 40_000))  # one of them a little more than the kernel keeps
def test_an_answer_that_is_taken_slowly_is_whole(tmp_path, size):
    async def story():
        async with exposed(tmp_path, make_settings(f"unix:{SOCKET}")) as (metrics, exposition):
            metrics.show_host(Host("x" * size, "", "", "", "", "", realtime=True, ostree=True))
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as slow:
                slow.setblocking(False)
                slow.connect(str(tmp_path / SOCKET.lstrip("/")))
                await loop.sock_sendall(slow, get())
                taken = await loop.sock_recv(slow, 1)
                await asyncio.wait((*exposition._serving.server._clients, loop.create_future()), timeout=0.01)
                while data := await loop.sock_recv(slow, 1 << 16):
                    taken += data
            _, fields, body = parsed(*taken.split(b"\r\n\r\n", 1))
            assert len(body) == int(fields["Content-Length"]) > size

    run(story())


def test_a_client_that_hangs_up_is_nothing_to_speak_of(tmp_path, caplog):
    async def story():
        async with exposed(tmp_path) as (_, exposition):
            for said in (b"", b"GET", get()):
                _, writer = await connect(exposition)
                writer.write(said)
                await writer.drain()
                writer.transport.abort()
            assert (await ask(exposition, get()))[0] == 200

    run(story())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_so_many_may_be_connected_and_no_more(tmp_path):
    async def story():
        async with exposed(tmp_path) as (_, exposition):
            silent = [await connect(exposition) for _ in range(16)]
            status, _, body = await ask(exposition, b"")
            assert (status, body) == (503, b"Service Unavailable\n")
            silent.pop()[1].close()
            await asyncio.wait(tuple(exposition._serving.server._clients), return_when=asyncio.FIRST_COMPLETED)
            assert (await ask(exposition, get()))[0] == 200
            for _, writer in silent:
                writer.close()

    run(story())


def test_the_end_waits_for_nobody(tmp_path):
    async def story():
        async with asyncio.timeout(PATIENCE), exposed(tmp_path, patience=PATIENCE * 100) as (_, exposition):
            clients = [await connect(exposition) for _ in range(3)]
            assert (await ask(exposition, get("/")))[0] == 200  # who connected before was accepted before
            clients.append(await connect(exposition))  # perhaps not accepted yet
        for reader, writer in clients:
            assert await gone(reader) == b""
            writer.close()

    run(story())


def test_there_is_no_thread_and_no_timer_while_nobody_asks(tmp_path):
    async def story():
        threads = threading.active_count()
        chosen = make_settings(textfile="/metrics/mcd-rt.prom")
        effects = Watched()
        async with exposed(tmp_path, chosen, effects=effects) as (_, exposition):
            await effects.replaced.wait()
            assert (await ask(exposition, get()))[0] == 200
            assert threading.active_count() == threads
            timers = [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]
            assert timers == []

    run(story())


# Where it is served


def test_a_port_that_is_taken_stops_nothing_and_is_tried_again_when_told(tmp_path, caplog):
    async def story():
        with socket.create_server(("127.0.0.1", 0)) as other:
            chosen = make_settings(f"127.0.0.1:{other.getsockname()[1]}", "/mcd-rt.prom")
            async with exposed(tmp_path, chosen) as (metrics, exposition):
                assert exposition.address == ""
                (failure,) = exposition.failures
                assert failure.code is Code.METRICS_UNAVAILABLE
                assert f"cannot listen on {chosen.metrics.listen}: Address already in use" in failure.message
                assert "metrics-unavailable: cannot listen" in caplog.text
                await exposition.follow(chosen)
                assert exposition.failures == (failure,)
                other.close()
                await exposition.follow(chosen)
                assert exposition.failures == ()
                _, _, body = await ask(exposition, get())
                assert b'mcd_rt_failures_total{code="metrics-unavailable"} 1.0\n' in body
                assert b'mcd_rt_active_failure{code="metrics-unavailable"} 0.0\n' in body
                metrics.on_change = None

    run(story())


def test_what_cannot_be_served_is_told_by_the_file(tmp_path):
    async def story():
        effects = Watched()
        with socket.create_server(("127.0.0.1", 0)) as other:
            chosen = make_settings(f"127.0.0.1:{other.getsockname()[1]}", "/mcd-rt.prom")
            async with exposed(tmp_path, chosen, effects=effects):
                await effects.replaced.wait()
                text = (tmp_path / "mcd-rt.prom").read_text()
                assert 'mcd_rt_active_failure{code="metrics-unavailable"} 1.0\n' in text

    run(story())


@pytest.mark.parametrize(
    ("listen", "reason"),
    [("192.0.2.1:0", "Cannot assign requested address"), ("unix:/" + "x" * 120, "path too long")],
)
def test_a_place_that_is_none_stops_nothing(tmp_path, listen, reason):
    async def story():
        async with exposed(tmp_path, make_settings(listen)) as (_, exposition):
            assert reason in exposition.failures[0].message

    run(story())


def test_new_settings_move_it_and_the_same_do_not_interrupt_it(tmp_path):
    async def story():
        async with exposed(tmp_path) as (_, exposition):
            first = exposition.address
            waiting = await connect(exposition)
            await exposition.follow(make_settings())
            assert exposition.address == first
            waiting[1].write(get())
            assert (await gone(waiting[0])).startswith(b"HTTP/1.1 200 ")
            waiting[1].close()
            await exposition.follow(make_settings(f"unix:{SOCKET}"))
            assert exposition.address == f"unix:{SOCKET}"
            assert (await ask(exposition, get(), tmp_path))[0] == 200
            host, _, port = first.rpartition(":")
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(host, int(port))
            await exposition.follow(make_settings(""))
            assert exposition.address == ""
            assert not (tmp_path / SOCKET.lstrip("/")).exists()

    run(story())


def test_nothing_is_served_where_nothing_is_wanted(tmp_path):
    async def story():
        async with exposed(tmp_path, make_settings("")) as (metrics, exposition):
            metrics.count_reboot()
            assert (exposition.address, exposition.failures) == ("", ())
        assert list(tmp_path.iterdir()) == []

    run(story())


def test_a_unix_socket_is_everybodys_and_gone_afterwards(tmp_path):
    path = tmp_path / SOCKET.lstrip("/")

    async def story():
        async with exposed(tmp_path, make_settings(f"unix:{SOCKET}")) as (_, exposition):
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
            assert (await ask(exposition, get(), tmp_path))[0] == 200

    run(story())
    assert not path.exists()


def test_a_socket_that_was_left_behind_is_replaced(tmp_path):
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()

    async def story():
        async with exposed(tmp_path, make_settings("unix:/x.sock")) as (_, exposition):
            assert (await ask(exposition, get(), tmp_path))[0] == 200

    run(story())


@pytest.mark.parametrize("kind", ["served", "crowded", "file", "directory"])
def test_what_is_somebody_elses_is_not_replaced(tmp_path, kind):
    path = tmp_path / "x"
    with contextlib.ExitStack() as stack:
        if kind == "file":
            path.write_text("keep me")
        elif kind == "directory":
            path.mkdir()
        else:
            other = stack.enter_context(socket.socket(socket.AF_UNIX))
            other.bind(str(path))
            other.listen(0 if kind == "crowded" else 8)
            for _ in range(2 if kind == "crowded" else 0):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                assert client.connect_ex(str(path)) in (0, errno.EAGAIN)
        before = path.lstat()

        async def story():
            async with exposed(tmp_path, make_settings("unix:/x")) as (_, exposition):
                assert exposition.failures[0].code is Code.METRICS_UNAVAILABLE

        run(story())
        assert path.lstat().st_ino == before.st_ino


# As a file


def read(path):
    return list(parse_text(path.read_text()))


def test_the_file_is_written_with_every_change_of_state(tmp_path):
    path = tmp_path / "var/textfile/mcd-rt.prom"

    async def story():
        effects = Watched()
        async with exposed(tmp_path, make_settings("", "/var/textfile/mcd-rt.prom"), effects=effects) as (metrics, _):
            for state in (State.STAGING, State.STAGED):
                metrics.show_status(Status(state, 5.0, "", 1))
                effects.replaced.clear()
                async with asyncio.timeout(PATIENCE):
                    await effects.replaced.wait()
                assert f'mcd_rt_state{{state="{state}"}} 1.0\n' in path.read_text()
                assert "mcd_rt_up 1.0\n" in path.read_text()
                assert stat.S_IMODE(path.stat().st_mode) == 0o644 & ~umask()
        return effects

    run(story())
    text = path.read_text()
    assert "mcd_rt_up 0.0\n" in text, "it stays, and says that the agent does not run"
    assert 'mcd_rt_state{state="staged"} 1.0\n' in text
    assert {family.name.removesuffix("_total") for family in FAMILIES} == {family.name for family in read(path)}
    assert list(path.parent.iterdir()) == [path]


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_changes_at_once_are_one_write_and_later_ones_wait_their_turn(tmp_path):
    path = tmp_path / "x.prom"
    changes = iter(range(100))

    async def story():
        effects = Watched()
        file = TextFile(effects, path, lambda: str(next(changes)).encode(), interval=0.1)
        loop = asyncio.get_running_loop()
        written = []
        for _ in range(3):
            for _ in range(5):
                file.write_soon()
            effects.replaced.clear()
            async with asyncio.timeout(PATIENCE):
                await effects.replaced.wait()
            written.append(loop.time())
        assert path.read_bytes() == b"2"
        assert all(later - earlier >= 0.09 for earlier, later in pairwise(written))
        file.write_soon()
        file.close()
        assert path.read_bytes() == b"3"
        assert not [timer for timer in loop._scheduled if not timer.cancelled()]

    run(story())


def test_a_file_that_cannot_be_written_is_said_once_and_stops_nothing(tmp_path, caplog):
    async def story():
        effects = Watched()
        for nth in (1, 2, 3):
            effects.fail("create", OSError(errno.ENOSPC, "No space left on device"), nth=nth)
        async with exposed(tmp_path, make_settings(textfile="/x.prom"), effects=effects) as (metrics, exposition):
            await effects.begun.wait()
            assert exposition.failures[0].code is Code.WRITE_FAILED
            for _ in range(2):
                exposition._textfile._write()
            _, _, body = await ask(exposition, get())
            assert b'mcd_rt_active_failure{code="write-failed"} 1.0\n' in body
            assert b'mcd_rt_failures_total{code="write-failed"} 1.0\n' in body
            exposition._textfile._write()
            _, _, body = await ask(exposition, get())
            assert b'mcd_rt_active_failure{code="write-failed"} 0.0\n' in body
            metrics.on_change = None

    run(story())
    assert caplog.text.count("write-failed: cannot write") == 1


def test_a_file_that_is_not_wanted_any_more_is_taken_away(tmp_path):
    async def story():
        effects = Watched()
        async with exposed(tmp_path, make_settings("", "/a.prom"), effects=effects) as (metrics, exposition):
            await effects.replaced.wait()
            metrics.count_reboot()
            await exposition.follow(make_settings("", "/b.prom"))
            assert not (tmp_path / "a.prom").exists()
            effects.replaced.clear()
            await effects.replaced.wait()
            assert "mcd_rt_reboots_total 1.0\n" in (tmp_path / "b.prom").read_text()
            await exposition.follow(make_settings("", ""))
            metrics.count_reboot()
            assert list(tmp_path.iterdir()) == []

    run(story())
    assert list(tmp_path.iterdir()) == []
