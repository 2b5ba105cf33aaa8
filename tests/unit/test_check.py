"""The ``check`` verb: verdicts on files as compilers give them, and as JSON."""

import argparse
import json

import pytest

from mcd_rt.cli import check

HEAD = "apiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfig\nmetadata:\n  name: 99-rt\n"
GOOD = HEAD + (
    "spec:\n  realtime: true\n  kernelArguments: [nohz=on, quiet]\n  fips: true\n  osImageURL: registry.example/os\n"
)
BAD = HEAD + "spec:\n  kernelType: realtme\n"
WANTED = {
    "name": "99-rt",
    "kernel_type": "realtime",
    "os_image": "registry.example/os",
    "kernel_arguments": ["nohz=on", "quiet"],
    "fips": True,
}
KEYS = ["file", "valid", "code", "message", "line", "column", "desired"]


@pytest.fixture
def run(capsys):
    """Run the verb as a command line would; gives exit status and what was printed."""

    def run(*arguments):
        parser = argparse.ArgumentParser(prog="mcd-rt")
        check.add_parser(parser.add_subparsers(required=True))
        parsed = parser.parse_args(["check", *map(str, arguments)])
        status = parsed.run(parsed)
        printed = capsys.readouterr()
        assert printed.err == ""
        return status, printed.out

    return run


@pytest.fixture
def file(tmp_path):
    def file(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return file


def objects(printed):
    return [json.loads(line) for line in printed.splitlines()]


def test_a_valid_file_is_ok_and_says_what_it_asks_for(run, file):
    path = file("mc.yaml", GOOD)
    wishes = "the realtime kernel, kernel arguments nohz=on quiet, image registry.example/os, FIPS"
    assert run(path) == (0, f"{path}: ok: 99-rt asks for {wishes}\n")


def test_a_file_that_asks_for_nothing_asks_for_the_default_kernel(run, file):
    path = file("mc.yaml", HEAD)
    assert run(path) == (0, f"{path}: ok: 99-rt asks for the default kernel\n")


def test_an_invalid_file_is_reported_as_compilers_do(run, file):
    path = file("mc.yaml", BAD)
    expected = "spec.kernelType: found 'realtme', expected one of default, realtime, 64k-pages or \"\""
    assert run(path) == (1, f"{path}:6:15: config-invalid: {expected}\n  hint: did you mean realtime?\n")


def test_an_error_without_a_place_or_a_hint_has_none(run, file):
    path = file("mc.json", "\n" * (1 << 26) + "{")
    assert run(path) == (1, f"{path}: config-invalid: is larger than 64 MiB, expected a MachineConfig\n")


def test_json_of_a_valid_file(run, file):
    path = file("mc.yaml", GOOD)
    status, printed = run("--json", path)
    assert status == 0
    assert objects(printed) == [dict.fromkeys(KEYS) | {"file": str(path), "valid": True, "desired": WANTED}]
    assert list(objects(printed)[0]) == KEYS


def test_json_of_an_invalid_file(run, file):
    path = file("mc.yaml", BAD)
    status, printed = run("--json", path)
    assert status == 1
    assert objects(printed) == [
        {
            "file": str(path),
            "valid": False,
            "code": "config-invalid",
            "message": "spec.kernelType: found 'realtme', expected one of default, realtime, 64k-pages or \"\"",
            "line": 6,
            "column": 15,
            "desired": None,
        }
    ]
    assert list(objects(printed)[0]) == KEYS


def test_a_missing_and_an_empty_file_are_errors_here(run, file, tmp_path):
    empty = file("empty.yaml", " \n")
    status, printed = run("--json", tmp_path / "none.yaml", empty)
    assert status == 1
    verdicts = objects(printed)
    assert [verdict["message"] for verdict in verdicts] == [
        "does not exist, expected a MachineConfig",
        "is empty, expected a MachineConfig",
    ]
    for verdict in verdicts:
        assert (verdict["valid"], verdict["code"], verdict["line"], verdict["column"], verdict["desired"]) == (
            False,
            "config-invalid",
            None,
            None,
            None,
        )
    hint = "  hint: the service would wait for it\n"
    assert run(empty) == (1, f"{empty}: config-invalid: is empty, expected a MachineConfig\n{hint}")


def test_of_several_files_each_is_judged_and_one_invalid_decides(run, file):
    good, bad = file("a.yaml", GOOD), file("b.yaml", BAD)
    status, printed = run("--json", bad, good)
    assert status == 1
    assert [(verdict["file"], verdict["valid"]) for verdict in objects(printed)] == [
        (str(bad), False),
        (str(good), True),
    ]


def test_a_directory_is_its_configs_in_the_order_of_their_names(run, file, tmp_path):
    for name in ("20.json", "10.yml", "30.yaml", "40.YAML", "notes.txt", ".hidden.yaml", "yaml"):
        file(name, HEAD if name != "20.json" else json.dumps({"kind": "Pod"}))
    (tmp_path / "50.yaml").mkdir()
    status, printed = run("--json", tmp_path)
    assert status == 1
    assert [(verdict["file"], verdict["message"]) for verdict in objects(printed)] == [
        (f"{tmp_path}/10.yml", None),
        (f"{tmp_path}/20.json", "kind: found 'Pod', expected MachineConfig"),
        (f"{tmp_path}/30.yaml", None),
        (f"{tmp_path}/50.yaml", "cannot be read: Is a directory"),
    ]


def test_a_directory_without_configs_is_no_success(run, tmp_path):
    status, printed = run("--json", tmp_path)
    assert status == 1
    (verdict,) = objects(printed)
    assert (verdict["file"], verdict["valid"]) == (str(tmp_path), False)
    assert verdict["message"] == "has no config in it, expected *.yaml, *.yml or *.json"


def test_what_cannot_be_looked_at_is_an_error_and_no_crash(run, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 300)
    assert run(long) == (
        1,
        f"{long}: config-invalid: cannot be read: File name too long\n  hint: make it a readable file\n",
    )

    def denied(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", denied)
    hint = "  hint: make it a readable directory\n"
    assert run(tmp_path) == (1, f"{tmp_path}: config-invalid: cannot be read: Permission denied\n{hint}")


def test_a_strange_file_name_stays_on_its_line(run, tmp_path):
    status, printed = run(tmp_path / "a\nb\udcff")
    assert status == 1
    assert (
        printed.splitlines()[0] == f"{tmp_path}/a\\nb\\udcff: config-invalid: does not exist, expected a MachineConfig"
    )


def test_files_are_named_as_on_the_command_line(run, file, tmp_path, monkeypatch):
    file("mc.yaml", BAD)
    monkeypatch.chdir(tmp_path)
    for name, shown in (("./mc.yaml", "./mc.yaml"), ("././", "././mc.yaml"), (".", "./mc.yaml")):
        _, printed = run(name)
        assert printed.startswith(f"{shown}:6:15: config-invalid: spec.kernelType: ")
        _, printed = run("--json", name)
        assert [(verdict["file"], verdict["message"][:16]) for verdict in objects(printed)] == [
            (shown, "spec.kernelType:")
        ]


def test_without_a_file_the_command_line_is_wrong(run, capsys):
    with pytest.raises(SystemExit) as caught:
        run()
    assert caught.value.code == 2
    assert "FILE|DIR" in capsys.readouterr().err


def test_the_help_teaches(run, capsys):
    with pytest.raises(SystemExit) as caught:
        run("--help")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for word in ("examples:", "exit codes:", "file, valid, code, message, line, column", "Of a DIR", "\n  64  "):
        assert word in text
    assert max(map(len, text.splitlines())) <= 120
