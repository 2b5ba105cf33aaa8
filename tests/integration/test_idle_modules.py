"""What an idle agent has in memory: every module it holds is on a list, and the heavy ones are not."""

import json
import sys

from mcd_rt.model.kernel import KernelType
from tests.integration.conftest import served

# The contract: a module beyond these is one more that every node keeps. What it would cost, `tox -e bench` says.
LIBRARIES = {
    "dbus_next._private",
    "dbus_next._private.constants",
    "dbus_next._private.marshaller",
    "dbus_next._private.unmarshaller",
    "dbus_next.constants",
    "dbus_next.errors",
    "dbus_next.message",
    "dbus_next.signature",
    "dbus_next.validators",
    "inotify_simple",
}
STANDARD = {
    *("abc", "array", "asyncio", "atexit", "bisect", "builtins", "bz2", "codecs", "collections", "concurrent"),
    *(
        "contextlib",
        "contextvars",
        "copy",
        "copyreg",
        "ctypes",
        "dataclasses",
        "datetime",
        "encodings",
    ),
    *("enum", "errno", "fcntl", "fnmatch", "functools", "gc", "genericpath", "glob", "grp", "hashlib", "heapq", "http"),
    *(
        "importlib",
        "inspect",
        "io",
        "ipaddress",
        "itertools",
        "json",
        "keyword",
        "linecache",
        "locale",
        "logging",
        "lzma",
    ),
    *("marshal", "math", "ntpath", "operator", "os", "pathlib", "posix", "posixpath", "random"),
    *("re", "reprlib", "runpy", "select", "selectors", "shlex", "shutil", "signal", "site", "socket", "stat", "string"),
    *("struct", "subprocess", "sys", "tempfile", "termios", "textwrap", "threading", "time", "token", "tokenize"),
    *("tomllib", "traceback", "types", "typing", "urllib", "warnings", "weakref", "zipimport", "zlib"),
}
OWN = {
    *(
        "act",
        "agent",
        "asked",
        "control",
        "dbus",
        "effects",
        "errors",
        "fileidentity",
        "frozen",
        "hostpaths",
        "lean",
        "lock",
    ),
    *(
        "lockseen",
        "memory",
        "model",
        "observation",
        "observed",
        "plan",
        "ranges",
        "record",
        "remembering",
        "report",
        "room",
    ),
    *("service", "settings", "supply", "watch"),
}
REBOOT = {"situation"}
CONTENT = {"cache", "entry", "fields", "fingerprint", "keys", "nevras", "osentry", "osfacts", "packagefacts", "policy"}
ON_DEMAND = {"mcd_rt.desired.yamltext", "mcd_rt.report.collector"}

_UNMEASURED = ("env", "-u", "COVERAGE_PROCESS_START", "-u", "COVERAGE_PROCESS_CONFIG")  # which imports much itself
_AGENT = """
import atexit, json, pathlib, sys
atexit.register(lambda: pathlib.Path({place!r}).write_text(json.dumps(sorted(sys.modules))))
from mcd_rt.cli.main import main
sys.exit(main(["run"]))
"""


def allowed(name: str) -> bool:
    top, _, rest = name.partition(".")
    if top.startswith("_") or name in LIBRARIES:  # parts of the interpreter, and of the modules on the list
        return True
    if top == "sitecustomize":  # what a distribution adds to its interpreter, as Debian does
        return True
    if top != "mcd_rt":
        return top in STANDARD
    room, _, file = rest.partition(".")
    match room:
        case "cli":
            return file in ("", "context", "main", "place", "run")
        case "content":
            return not file or file in CONTENT
        case "reboot":
            return not file or file in REBOOT
        case "desired":
            return name not in ON_DEMAND
        case "":
            return True
        case _:
            return room in OWN and name not in ON_DEMAND


def modules_of_idle_agent(play, tmp_path, config: bytes | None) -> set[str]:
    told_by = tmp_path / "modules.json"

    async def story():
        async with served() as (scene, told):
            if config is None:
                scene.ask_for(KernelType.DEFAULT)
            else:
                scene.write_config(config)
            await scene.node.run_agent([*_UNMEASURED, sys.executable, "-c", _AGENT.format(place=str(told_by))])
            await told.wait_for("steady")

    play(story())
    return set(json.loads(told_by.read_text()))


def test_every_module_of_an_idle_agent_is_on_the_list(play, tmp_path):
    config = {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": {"name": "rendered-worker-1"},
        "spec": {"kernelType": "default"},
    }
    found = modules_of_idle_agent(play, tmp_path, json.dumps(config).encode())
    assert {"mcd_rt.service", "mcd_rt.dbus.wire", "asyncio"} <= found
    assert sorted(name for name in found if not allowed(name)) == []


def test_yaml_is_loaded_for_a_config_in_yaml_and_nothing_else_with_it(play, tmp_path):
    found = modules_of_idle_agent(play, tmp_path, None)
    assert "mcd_rt.desired.yamltext" in found
    others = {name for name in found if not allowed(name)} - {"mcd_rt.desired.yamltext"}
    assert {name.partition(".")[0] for name in others} == {"yaml", "cython_runtime", "base64", "binascii"}
