"""Settings: drop-ins in three directories, every mistake named with file and key."""

import re
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import get_type_hints

import pytest

from mcd_rt import settings as settings_module
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.settings import NodeConfigSettings, RebootSettings, Settings
from mcd_rt.ranges import RANGES, TYPES
from mcd_rt.reboot.decide import STRATEGIES
from mcd_rt.settings import TracedSettings, load_settings

LOCK_URL = RANGES["reboot.fleet_lock.url"][1]
CERTIFICATES = RANGES["reboot.fleet_lock.ca"][1]
DROP_IN = "etc/mcd-rt/config.d/10-site.toml"


@pytest.fixture
def host(tmp_path):
    return HostPaths(tmp_path)


def write(host: HostPaths, name: str, text: str | bytes) -> Path:
    path = host.below(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(host: HostPaths, text: str | bytes) -> AgentError:
    write(host, DROP_IN, text)
    with pytest.raises(AgentError) as caught:
        load_settings(host)
    assert caught.value.failure.code is Code.SETTINGS_INVALID
    return caught.value


RELOAD = "correct it, then `systemctl reload mcd-rt`"


def assert_refused(host: HostPaths, text: str | bytes, what: str, hint: str = RELOAD) -> None:
    failure = refused(host, text).failure
    assert failure.message == f"{host.below(DROP_IN)}: {what}"
    assert failure.hint == hint


def test_without_drop_ins_the_defaults_hold(host):
    assert load_settings(host) == Settings()
    host.settings[0].mkdir(parents=True)
    assert load_settings(host) == Settings()


def test_what_a_file_says_overrides_a_default_and_nothing_else(host):
    write(host, DROP_IN, '[reboot]\nstrategy = "never"\nstuck_after = 60\n[node_config]\nsources = ["/a", "/b"]\n')
    assert load_settings(host) == replace(
        Settings(),
        reboot=replace(RebootSettings(), strategy="never", stuck_after=60.0),
        node_config=replace(NodeConfigSettings(), sources=("/a", "/b")),
    )


def test_a_whole_number_of_seconds_is_a_float(host):
    write(host, DROP_IN, "retry.initial = 7\n")
    assert isinstance(load_settings(host).retry.initial, float)


def test_every_default_can_be_written_as_it_is(host):
    lines = []
    for name, value in TracedSettings(Settings(), {}).values().items():
        written = str(value).lower() if isinstance(value, bool) else list(value) if isinstance(value, tuple) else value
        lines.append(f"{name} = {written!r}" if isinstance(value, str) else f"{name} = {written}")
    write(host, DROP_IN, "\n".join(lines))
    assert load_settings(host) == Settings()


@pytest.mark.parametrize(("earlier", "later"), [("usr/lib", "run"), ("usr/lib", "etc"), ("run", "etc")])
def test_of_two_files_of_one_name_that_in_the_later_directory_counts_alone(host, earlier, later):
    write(host, f"{earlier}/mcd-rt/config.d/50-x.toml", "reboot.per_day = 9\nreboot.attempts_per_target = 9\n")
    write(host, f"{later}/mcd-rt/config.d/50-x.toml", "reboot.per_day = 2\n")
    assert load_settings(host).reboot == RebootSettings(per_day=2)


def test_files_are_merged_in_the_order_of_their_names_not_of_their_directories(host):
    write(
        host, "etc/mcd-rt/config.d/10-a.toml", "reboot.per_day = 1\nretry.initial = 1\nnode_config.sources = ['/a']\n"
    )
    write(host, "usr/lib/mcd-rt/config.d/20-b.toml", "reboot.per_day = 2\nnode_config.sources = ['/b']\n")
    settings = load_settings(host)
    assert (settings.reboot.per_day, settings.retry.initial, settings.node_config.sources) == (2, 1.0, ("/b",))


@pytest.mark.parametrize("target", ["/dev/null", "../../../dev/null"])
def test_a_link_to_dev_null_masks(host, target):
    write(host, "usr/lib/mcd-rt/config.d/50-x.toml", "reboot.per_day = 9\n")
    mask = host.below("/etc/mcd-rt/config.d/50-x.toml")
    mask.parent.mkdir(parents=True)
    mask.symlink_to(target)
    assert load_settings(host) == Settings()


def test_a_mask_is_itself_replaced_in_a_later_directory(host):
    mask = host.below("/run/mcd-rt/config.d/50-x.toml")
    mask.parent.mkdir(parents=True)
    mask.symlink_to("/dev/null")
    write(host, "etc/mcd-rt/config.d/50-x.toml", "reboot.per_day = 9\n")
    assert load_settings(host).reboot.per_day == 9


def test_a_link_to_another_file_is_followed(host):
    target = write(host, "srv/mine", "reboot.per_day = 9\n")
    link = host.below(DROP_IN)
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    assert load_settings(host).reboot.per_day == 9


def test_other_files_are_passed_over(host):
    for name in ("x.toml~", "x.conf", ".x.toml", ".toml"):
        write(host, f"etc/mcd-rt/config.d/{name}", "not toml")
    assert load_settings(host) == Settings()


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("[rebot]\n", "rebot: unknown section", "did you mean reboot?"),
        ("[reboot]\nstratgy = 'never'\n", "reboot.stratgy: unknown key", "did you mean reboot.strategy?"),
        ("strategy = 'never'\n", "strategy: unknown key", "did you mean reboot.strategy?"),
        ("[rpm-ostree]\n", "rpm-ostree: unknown section", "did you mean rpm_ostree?"),
        ("zzz = 1\n", "zzz: unknown key", f"known here are {', '.join(field.name for field in fields(Settings))}"),
        ("[reboot.windows]\n", "reboot.windows: unknown section", "did you mean reboot.window?"),
        ("retry.zzzzzzzzzz = 1\n", "retry.zzzzzzzzzz: unknown key", "known here are initial, ceiling, patient"),
    ],
)
def test_unknown_names_come_with_the_nearest_known_one(host, text, what, hint):
    assert_refused(host, text, what, hint)


@pytest.mark.parametrize(
    ("key", "value", "found", "expected"),
    [
        ("reboot.per_day", "true", "true", "a whole number"),
        ("reboot.per_day", "1.0", "1.0", "a whole number"),
        ("reboot.per_day", '"4"', "'4'", "a whole number"),
        ("reboot.per_day", "0", "0", "at least 1"),
        ("reboot.attempts_per_target", "-3", "-3", "at least 1"),
        ("content.max_packages", "[]", "an array", "a whole number"),
        ("content.max_packages", "-0x" + "f" * 5000, None, None),
        ("retry.initial", "false", "false", "a number of seconds"),
        ("retry.initial", '"5s"', "'5s'", "a number of seconds"),
        ("retry.initial", "2020-01-01", "datetime.date(2020, 1, 1)", "a number of seconds"),
        ("retry.initial", "0", "0", "more than 0 and at most 1000000000 seconds"),
        ("retry.initial", "-0.5", "-0.5", "more than 0 and at most 1000000000 seconds"),
        ("retry.initial", "nan", "nan", "more than 0 and at most 1000000000 seconds"),
        ("retry.initial", "inf", "inf", "more than 0 and at most 1000000000 seconds"),
        ("retry.initial", "0x" + "f" * 5000, "a very large number", "more than 0 and at most 1000000000 seconds"),
        ("reboot.strategy", "1", "1", "text"),
        ("reboot.strategy", '"later"', "'later'", f"one of {', '.join(STRATEGIES)}"),
        ("reboot.splay", "-1", "-1", "at least 0 and at most 1000000000 seconds"),
        ("reboot.window.deadline", "inf", "inf", "at least 0 and at most 1000000000 seconds"),
        ("reboot.sentinel.path", '"run/x"', "'run/x'", "an absolute path of a file"),
        ("reboot.fleet_lock.group", '"a b"', "'a b'", "letters, digits, . and -"),
        ("reboot.fleet_lock.url", '"ftp://locks.example"', "'ftp://locks.example'", LOCK_URL),
        ("reboot.fleet_lock.url", '"https://me:x@locks.example"', "'https://me:x@locks.example'", LOCK_URL),
        ("reboot.fleet_lock.url", '"https://locks.example:x"', "'https://locks.example:x'", LOCK_URL),
        ("reboot.fleet_lock.ca", '"ca.pem"', "'ca.pem'", CERTIFICATES),
        ("reboot", "3", "3", "a section [reboot]"),
        ("node_config.sources", '"/a"', "'/a'", "an array of texts"),
        ("node_config.sources", '["/a", 1]', "an array", "an array of texts"),
        ("node_config.sources", "{a = 1}", "a table", "an array of texts"),
        ("node_config.sources", "[]", "an array", "at least one path, all of them absolute"),
        ("node_config.sources", '["/a", "b"]', "an array", "at least one path, all of them absolute"),
        ("node_config.sources", '["/a\\u0000"]', "an array", "at least one path, all of them absolute"),
    ],
)
def test_a_value_of_the_wrong_type_or_out_of_range(host, key, value, found, expected):
    if found is None:
        assert refused(host, f"{key} = {value}\n").failure.message.startswith(f"{host.below(DROP_IN)}: not TOML: ")
    else:
        assert_refused(host, f"{key} = {value}\n", f"{key}: found {found}, expected {expected}")


WEEKLY = "[reboot.window]\nwindows = [{}]\n"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("reboot.strategy = 'window'\n", "reboot.strategy: 'window' needs reboot.window.windows, which is not set"),
        ("reboot.strategy = 'fleet-lock'\n", "reboot.strategy: 'fleet-lock' needs reboot.fleet_lock.url, which is not"),
        (WEEKLY.format("'Sat 02:00 0h'"), "reboot.window.windows: 'Sat 02:00 0h': a window of no length never opens"),
        (WEEKLY.format("'Sat 02:00-01:00'"), "reboot.window.windows: 'Sat 02:00-01:00': expected DAYS HH:MM LENGTH"),
        (WEEKLY.format("'Sat 25:00 1h'"), "there is no 25:00 in a day"),
        (WEEKLY.format("'Saturday 02:00 1h'"), "'Saturday' is no day; days are Mon, Tue"),
        (WEEKLY.format("'Sat 02:00 200h'"), "a window may be a week long at most"),
        (WEEKLY.format("'Sat 02:00 -1h'"), "'-1h' is no length; expected hours and minutes"),
        ("reboot.window.time_zone = 'Mars/Olympus'\n", "reboot.window.time_zone: this host knows no time zone 'Mars/"),
        ("reboot.window.time_zone = '../../etc/passwd'\n", "this host knows no time zone '../../etc/passwd'"),
        ("reboot.window.time_zone = ''\n", "this host knows no time zone ''"),
    ],
)
def test_settings_that_do_not_fit_together_or_a_window_that_is_none(host, text, what):
    failure = refused(host, text).failure
    assert failure.code is Code.SETTINGS_INVALID
    assert failure.message.startswith(f"{host.below(DROP_IN)}: reboot.")
    assert what in failure.message


def test_the_file_that_is_wrong_is_the_one_named(host):
    write(host, "usr/lib/mcd-rt/config.d/50-x.toml", "reboot.per_day = 9\n")
    write(host, "run/mcd-rt/config.d/60-y.toml", "reboot.per_day = 0\n")
    with pytest.raises(AgentError, match=re.escape("run/mcd-rt/config.d/60-y.toml: reboot.per_day: found 0")):
        load_settings(host)


def test_what_is_not_toml_says_where(host):
    message = refused(host, "[reboot]\nper_day 4\n").failure.message
    assert message.startswith(f"{host.below(DROP_IN)}: not TOML: Expected '='")
    assert "line 2, column 9" in message


def test_what_is_not_utf8_or_nested_without_end(host):
    assert_refused(host, b"a = '\xff'\n", "found the byte 0xff, expected UTF-8", "save it as UTF-8")
    assert_refused(host, "a = " + "[" * 100_000, "not TOML that can be read: nested too deep")


def test_what_cannot_be_read_says_why(host):
    path = host.below(DROP_IN)
    path.mkdir(parents=True)
    with pytest.raises(AgentError) as caught:
        load_settings(host)
    assert caught.value.failure.message == f"{path}: cannot be read: Is a directory"
    assert caught.value.failure.hint == "make it a readable file"
    path.rmdir()
    path.symlink_to("nowhere")
    with pytest.raises(AgentError, match="cannot be read: No such file or directory"):
        load_settings(host)


def test_a_directory_that_is_none(host):
    write(host, "run/mcd-rt/config.d", "")
    with pytest.raises(AgentError) as caught:
        load_settings(host)
    assert caught.value.failure.message == f"{host.settings[1]}: cannot be read: Not a directory"
    assert caught.value.failure.hint == "make it a readable directory"


def test_a_new_field_or_section_needs_nothing_but_its_dataclass():
    @dataclass(frozen=True, slots=True)
    class Inner:
        on: bool = False
        words: tuple[str, ...] = ()

    @dataclass(frozen=True, slots=True)
    class Outer:
        inner: Inner = Inner()
        count: int = 1

    table = {"inner": {"on": True, "words": ["a"]}, "count": 2}
    assert settings_module._override(Outer(), table, Path("x"), "") == Outer(Inner(on=True, words=("a",)), 2)
    with pytest.raises(AgentError, match=r"x: inner\.on: found 1, expected true or false"):
        settings_module._override(Outer(), {"inner": {"on": 1}}, Path("x"), "")


def test_the_type_of_every_field_is_one_that_can_be_checked():
    sections = [Settings]
    for section in sections:
        types = set(get_type_hints(section).values())
        sections += [inner for inner in types if is_dataclass(inner)]
        assert {kind for kind in types if not is_dataclass(kind)} <= set(TYPES)
    assert len(sections) > len(fields(Settings)) + 1


def test_every_range_is_that_of_a_setting():
    assert set(RANGES) <= set(settings_module._names(Settings(), ""))
