"""``mcd-rt settings`` prints what is in effect, and which file says so."""

import json
import tomllib

import pytest

from mcd_rt.cli.main import main
from mcd_rt.cli.settings import describe_settings
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.settings import MetricsSettings, Settings
from mcd_rt.settings import TracedSettings, load_settings, trace_settings


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setenv("MCD_RT_ROOT", str(tmp_path))
    return HostPaths(tmp_path)


def write(host, name, text):
    path = host.below(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_each_setting_comes_from_the_last_file_that_says_so(host):
    low = write(host, "/usr/lib/mcd-rt/config.d/10-a.toml", "retry.initial = 1\nretry.ceiling = 2\n")
    high = write(host, "/etc/mcd-rt/config.d/20-b.toml", "[retry]\nceiling = 3\n[reboot]\n")
    traced = trace_settings(host)
    assert traced.sources == {"retry.initial": low, "retry.ceiling": high}
    assert traced.settings == load_settings(host)
    assert traced.values()["retry.ceiling"] == 3.0


def test_a_file_that_is_masked_is_no_source(host):
    write(host, "/usr/lib/mcd-rt/config.d/10-a.toml", "retry.initial = 1\n")
    mask = host.below("/etc/mcd-rt/config.d/10-a.toml")
    mask.parent.mkdir(parents=True)
    mask.symlink_to("/dev/null")
    assert trace_settings(host) == TracedSettings(Settings(), {})


def test_it_prints_every_setting_with_its_source(host, capsys):
    file = write(host, "/etc/mcd-rt/config.d/10-a.toml", "reboot.per_day = 2\n")
    assert main(["settings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(trace_settings(host).values())
    assert [line.split() for line in lines if "per_day" in line] == [["reboot.per_day", "=", "2", "#", str(file)]]
    assert sum(line.endswith("# default") for line in lines) == len(lines) - 1


def test_what_it_prints_is_a_drop_in_that_says_the_same(host):
    odd = Settings(metrics=MetricsSettings(textfile='/é"\\\t\x7f\U0001f600.prom'))
    text = "\n".join(describe_settings(TracedSettings(odd, {})))
    assert tomllib.loads(text)["metrics"]["textfile"] == odd.metrics.textfile
    write(host, "/etc/mcd-rt/config.d/10-a.toml", text)
    assert load_settings(host) == odd


def test_it_prints_one_json_object(host, capsys):
    file = write(host, "/etc/mcd-rt/config.d/10-a.toml", "reboot.per_day = 2\n")
    assert main(["settings", "--json"]) == 0
    known = json.loads(capsys.readouterr().out)
    assert known["reboot.per_day"] == {"value": 2, "source": str(file)}
    assert known["os.accept_unknown_base"] == {"value": False, "source": "default"}
    assert known["node_config.directories"]["value"] == ["/etc/mcd-rt/machineconfig.d"]


def test_a_wrong_file_is_named_and_nothing_is_printed(host, capsys):
    file = write(host, "/etc/mcd-rt/config.d/10-a.toml", "reboot.per_dya = 2\n")
    assert main(["settings"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "settings-invalid" in told.err
    assert str(file) in told.err
    assert "reboot.per_day" in told.err
