"""Where the metrics listen: only what can be listened on without asking anybody."""

import pytest

from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.listen import TcpAddress, UnixAddress, parse_listen
from mcd_rt.model.settings import Settings
from mcd_rt.settings import load_settings

GOOD = {
    "": None,
    "127.0.0.1:8654": TcpAddress("127.0.0.1", 8654),
    "0.0.0.0:0": TcpAddress("0.0.0.0", 0),
    "[::1]:65535": TcpAddress("::1", 65535),
    "[fe80::1%eth0]:9100": TcpAddress("fe80::1%eth0", 9100),
    "unix:/run/mcd-rt/metrics.sock": UnixAddress("/run/mcd-rt/metrics.sock"),
}
BAD = (
    "8654",
    ":8654",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:x",
    "127.0.0.1:65536",
    "127.0.0.1:123456",
    "127.0.0.256:1",
    "127.1:8654",
    "::1:8654",
    "[::1]",
    "[::g]:1",
    "localhost:8654",
    "http://127.0.0.1:8654",
    "unix:",
    "unix:run/x",
    "unix:/run/",
    "unix:/run/\0",
    " 127.0.0.1:1",
    "127.0.0.1:1\n",
    "127.0.0.1:\u0661",
)


@pytest.mark.parametrize("text", GOOD)
def test_what_can_be_listened_on(text):
    address = parse_listen(text)
    assert address == GOOD[text]
    assert address is None or str(address) == text


@pytest.mark.parametrize("text", BAD)
def test_what_cannot(text):
    with pytest.raises(ValueError, match=r"\w"):
        parse_listen(text)


def set_metrics(root, line):
    drop_in = root / "etc/mcd-rt/config.d/50-metrics.toml"
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text(f"[metrics]\n{line}\n")
    return load_settings(HostPaths(root)).metrics


def test_loopback_by_default():
    assert parse_listen(Settings().metrics.listen) == TcpAddress("127.0.0.1", 8654)
    assert Settings().metrics.textfile == ""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("listen = 'localhost:8654'", "expected an IP address and a port"),
        ("listen = 8654", "expected text"),
        ("textfile = 'mcd-rt.prom'", "expected an absolute path that ends in .prom"),
        ("textfile = '/var/lib/node_exporter/mcd-rt.txt'", "expected an absolute path that ends in .prom"),
    ],
)
def test_a_setting_that_cannot_be_followed_is_refused(tmp_path, line, expected):
    with pytest.raises(AgentError, match=expected) as caught:
        set_metrics(tmp_path, line)
    assert caught.value.failure.code is Code.SETTINGS_INVALID


def test_settings_that_can(tmp_path):
    assert set_metrics(tmp_path, "listen = 'unix:/run/x'").listen == "unix:/run/x"
    assert set_metrics(tmp_path, "listen = ''").listen == ""
    assert set_metrics(tmp_path, "textfile = '/x/mcd-rt.prom'").textfile == "/x/mcd-rt.prom"
