"""Whatever others write, it is read or refused in our own words, soon, in little memory, and nothing stays open.

Structured inputs for the targets of ``tests/fuzz``, the short run of the fuzzer, and a judge that can say no.
"""

import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd_rt.content import frames
from mcd_rt.content.frames import ChunkFrame, DoneFrame, FileFrame, ImageFrame, PackageFrame, ProgressFrame
from mcd_rt.dbus.names import TRANSACTION
from mcd_rt.dbus.wire import Kind, Message, encode
from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Way
from mcd_rt.model.nevra import Nevra
from mcd_rt.settings import trace_settings
from tests.fuzz import run, talk
from tests.fuzz.mutation import CORPUS, corpus_of, mutants
from tests.fuzz.targets import TARGETS
from tests.fuzz.verdict import Limits, Violation, attempt, documented, little_memory
from tests.property.test_wire_properties import messages

LIMITS = Limits()
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = JSON.map(lambda value: json.dumps(value).encode())


def objects(*keys: str, values: st.SearchStrategy[object] = JSON) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, values))


def tried(name: str, data: bytes) -> None:
    attempt(name, TARGETS[name], data, LIMITS)


# The corpus, and mutations of it


def test_the_short_run_finds_nothing():
    assert run(quick=True, seed=int(os.environ.get("MCD_RT_FUZZ_SEED", "1"))) > 30 * len(TARGETS)


def test_every_target_has_a_corpus_and_every_corpus_a_target():
    assert {place.name for place in CORPUS.iterdir()} == set(TARGETS)
    assert all(len(corpus_of(name)) >= 3 for name in TARGETS)


def test_the_same_seed_makes_the_same_inputs():
    def first(seed: int) -> list[bytes]:
        inputs = mutants("record", corpus_of("record"), seed)
        return [next(inputs) for _ in range(20)]

    assert first(1) == first(1) != first(2)


# What is built to fit, and does not quite

PIPED = st.binary(max_size=80).map(lambda data: data.replace(b"\n", b""))
PACKETS = objects("success", "value", "pipeid", "error") | st.builds(
    lambda value, pipe: {"success": True, "value": value, "pipeid": pipe},
    st.sampled_from(["0.2.8", "0.2", 1, 64, None, ["sha256:" + "a" * 64, 2]]) | JSON,
    st.integers(0, 3),
)


@given(st.lists(st.tuples(PACKETS, st.none() | PIPED), max_size=8))
def test_skopeos_proxy_is_understood_or_named(packets):
    lines = []
    for packet, piped in packets:
        lines += [talk.PIPE + piped] if piped is not None else []
        lines.append(json.dumps(packet).encode())
    tried("proxy", b"\n".join(lines))


SAID = st.one_of(
    st.builds(FileFrame, st.text(max_size=9), st.integers(0, 3000)),
    st.builds(ProgressFrame, st.integers(0, 5), st.integers(5, 9)),
    st.just(ImageFrame(talk.DIGEST, "amd64", "", "", Way.LAYOUT, "")),
    st.just(DoneFrame()),
    st.just(PackageFrame(Nevra("kernel-rt-core", 0, "1", "1", "x86_64"), "", (), ())),
).map(frames.encode)
CHUNKS = st.binary(max_size=1500).map(lambda data: frames.encode(ChunkFrame(len(data))) + data)
ANSWERS = st.lists(SAID | CHUNKS | DOCUMENTS.map(lambda line: line + b"\n"), max_size=8).map(b"".join)


@given(ANSWERS, ANSWERS)
def test_two_workers_in_league_leave_a_whole_entry_or_none(fetched, inspected):
    tried("worker_answers", fetched + talk.SEPARATOR + inspected)


def test_an_honest_pair_of_workers_does_leave_an_entry(monkeypatch):
    """So that the test before is not about refusals alone."""
    seen = []
    monkeypatch.setattr(talk, "documented", lambda _prefixes: _noted(seen))
    talk.answers((CORPUS / "worker_answers/whole").read_bytes())
    assert seen == ["stored"]


def _noted(seen: list[str]):
    class Noted:
        def __enter__(self) -> None:
            return None

        def __exit__(self, kind: object, *_: object) -> bool:
            seen.append("stored" if kind is None else "refused")
            return False

    return Noted()


SIGNALS = st.builds(
    lambda member, body: encode(
        Message(
            Kind.SIGNAL,
            serial=1,
            path="/",
            interface=TRANSACTION,
            member=member,
            signature="".join({bool: "b", str: "s", int: "i"}[type(value)] for value in body),
            body=body,
        )
    ),
    st.sampled_from(["Finished", "TaskBegin", "TaskEnd", "PercentProgress", "Message", "ProgressEnd"]),
    st.lists(st.booleans() | st.sampled_from(["", "x", "é"]) | st.integers(-(2**31), 2**31 - 1), max_size=3),
)
STARTS = st.sampled_from([True, False]).map(
    lambda began: encode(Message(Kind.RETURN, serial=1, reply_serial=1, signature="b", body=[began]))
)


@given(st.lists(SIGNALS | STARTS | messages().map(encode), max_size=6), st.booleans(), st.data())
def test_a_transactions_peer_may_say_anything(said, cut, data):
    whole = b"".join(said)
    tried("transaction", whole[: data.draw(st.integers(0, len(whole)))] if cut else whole)


@given(st.lists(messages().map(encode), max_size=4), st.integers(0, 7))
def test_a_peer_may_send_any_messages_and_descriptors(said, descriptors):
    tried("messages", bytes([descriptors]) + b"".join(said))


KEYS = (
    "id", "osname", "checksum", "base-checksum", "version", "booted", "staged", "pinned", "finalization-locked",
    "requested-packages", "requested-local-packages", "requested-base-removals", "custom-origin", "layered-commit-meta",
    "requested-base-local-replacements", "requested-base-remote-replacements", "container-image-reference",
)  # fmt: skip
PROPERTIES = (
    st.sampled_from(["a", "a-1-1.x86_64", f"x@{talk.DIGEST}"])
    | st.booleans()
    | st.lists(st.sampled_from(["a", "a-1-1.x86_64"]) | JSON, max_size=2)
    | st.dictionaries(st.just("ostree.linux"), JSON, max_size=1)
)


@given(st.lists(objects(*KEYS, values=PROPERTIES) | JSON, max_size=3))
def test_deployments_are_understood_or_the_protocol_is(entries):
    tried("deployments", json.dumps(entries).encode())


@given(st.lists(objects("verb") | objects("ok", "text") | JSON, max_size=3), st.sampled_from([b"\n", b"", b"\r\n"]))
def test_the_control_socket_answers_anybody_from_either_end(lines, newline):
    data = b"".join(json.dumps(line).encode() + newline for line in lines)
    tried("control", data)
    tried("control_answers", data)


REQUIREMENTS = st.lists(st.sampled_from([{"type": "insecureAcceptAnything"}, {"type": "reject"}]) | JSON, max_size=2)
SCOPES = objects("", "registry.example", "registry.example/os", "*.example", values=REQUIREMENTS | JSON)


@given(objects("default", values=REQUIREMENTS | JSON), objects("docker", "oci", values=SCOPES | JSON) | JSON)
def test_a_policy_demands_something_or_is_none(policy, transports):
    tried("policy", json.dumps(policy | {"transports": transports}).encode())


NAMES = sorted(trace_settings(HostPaths(CORPUS)).values())
LITERALS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["nan", "-inf", "1e400", "true", "[]", "{}", '["/a", 1]', "1979-05-27", '"\\u0000"', '""']),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'"), max_size=9).map(lambda t: f"'{t}'"),
)


@given(st.dictionaries(st.sampled_from(NAMES), LITERALS, max_size=4))
def test_settings_of_any_value_are_taken_or_named(values):
    tried("settings", "".join(f"{name} = {value}\n" for name, value in values.items()).encode())


# The judge


def _leak(_data: bytes) -> None:
    LEAKED.append(os.open("/dev/null", os.O_RDONLY))


LEAKED: list[int] = []


@pytest.mark.parametrize(
    ("target", "what"),
    [
        (lambda data: data[5], "IndexError"),
        (lambda _data: time.sleep(5), "it took more than 0.1 s"),
        (_leak, "1 descriptors were left open"),
        (lambda _data: bytearray(1 << 30), "MemoryError"),
    ],
    ids=["error", "slow", "leak", "bomb"],
)
def test_what_no_input_may_do_is_told_with_a_file(target, what, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(Violation, match=what) as caught, little_memory(512 << 20):
        attempt("x", target, b"data", Limits(seconds=0.1))
    [file] = (tmp_path / "mcd-rt-fuzz").iterdir()
    assert file.read_bytes() == b"data"
    assert str(file) in str(caught.value)
    while LEAKED:
        os.close(LEAKED.pop())


def test_a_code_that_is_not_documented_or_words_nobody_can_read_are_no_answer():
    with pytest.raises(AgentError), documented(("image-",)):
        raise AgentError(Code.INTERNAL_ERROR, "x")
    with pytest.raises(AssertionError, match="a message of 70"), documented(("image-",)):
        raise AgentError(Code.IMAGE_UNSAFE, "x" * 70_000)
    with documented((), ValueError):
        raise ValueError
