"""The corpus: small inputs of every kind, made by the project's own builders and encoders.

``python -m tests.fuzz --write-corpus`` writes them to ``corpus/<target>/<name>``. Files that are there under other
names, such as inputs that once found a fault, stay.
"""

import gzip
import io
import json
import struct
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import zstandard

from mcd_rt.content import frames
from mcd_rt.content.frames import (
    ChunkFrame,
    DoneFrame,
    ErrorFrame,
    FetchRequest,
    FileFrame,
    FilesFrame,
    ImageFrame,
    InspectRequest,
    OsFrame,
    OsRequest,
    PackageFrame,
    ProgressFrame,
)
from mcd_rt.dbus.names import TRANSACTION
from mcd_rt.dbus.wire import Kind, Message, Typed, Value, encode
from mcd_rt.effects import HostEffects
from mcd_rt.errors import Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Way
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsForm, OsImage
from mcd_rt.model.plan import Target
from mcd_rt.model.record import Attempt, Phase, Record, Tries, Verified
from mcd_rt.record import save_record
from mcd_rt.sim.demokey import PUBLIC_KEY
from mcd_rt.sim.image import Directory, HardLink, Opaque, Pipe, SymbolicLink, Whiteout, _archive, build_rpm
from mcd_rt.sim.ostree import build_os
from tests.fuzz.images import NEXT
from tests.fuzz.places import fresh_directory
from tests.fuzz.systems import SYSTEM
from tests.fuzz.talk import DIGEST, PIPE, SEPARATOR

Seeds = Mapping[str, bytes]

_CORE = Nevra("kernel-rt-core", 0, "5.14.0", "284.rt14.el9", "x86_64")
_UNAME = "5.14.0-284.rt14.el9.x86_64+rt"
_VERSION = b'{"imageLayoutVersion":"1.0.0"}'
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_TAR = "application/vnd.oci.image.layer.v1.tar+gzip"
_NEXT = NEXT.decode()


def all_seeds() -> Mapping[str, Seeds]:
    """The seeds of each target."""
    return {
        "authentication": _authentication(),
        "commit": _commits(),
        "control": _control(),
        "control_answers": _control_answers(),
        "deployments": _deployments(),
        "documents": _documents(),
        "host_files": _host_files(),
        "http": _http(),
        "keys": {"demo": PUBLIC_KEY.encode(), "two": PUBLIC_KEY.encode() * 2, "none": b"-----BEGIN PGP"},
        "layer": dict(_layers()),
        "machine_config": _machine_configs(),
        "messages": _messages(),
        "os_answers": _os_answers(),
        "os_layer": dict(_os_layers()),
        "package": _packages(),
        "policy": _policies(),
        "proxy": _proxy(),
        "record": _records(),
        "reference": _references(),
        "repository": dict(_repositories()),
        "settings": _settings(),
        "transaction": _transactions(),
        "worker_answers": _worker_answers(),
        "worker_request": _worker_requests(),
    }


def write_corpus(place: Path) -> int:
    """Write all of them; returns how many."""
    count = 0
    for target, seeds in all_seeds().items():
        (place / target).mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (place / target / name).write_bytes(data)
            count += 1
    return count


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _machine_configs() -> Seeds:
    metadata = {"name": "99-worker-rt", "labels": {"machineconfiguration.openshift.io/role": "worker"}}
    spec = {
        "kernelType": "realtime",
        "realtime": True,
        "osImageURL": f"registry.example/os@{DIGEST}",
        "kernelArguments": ["nosmt skew_tick=1", 'a="b c"'],
        "extensions": ["usbguard"],
        "fips": False,
        "config": {"ignition": {"version": "3.2.0"}, "big": [1.5, -2, None, {"a": []}]},
    }
    whole = {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": metadata,
        "spec": spec,
    }
    head = "apiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfig\nmetadata: {name: a}\n"
    return {
        "json": _json(whole),
        "yaml": f"{head}spec:\n  kernelType: realtime\n  kernelArguments:\n  - 'x y'\n  - |\n    z\n".encode(),
        "aliases": f"{head}spec: &s\n  fips: &f no\n  a: *f\n  <<: [{{b: 0x1f}}, {{c: 1.5}}]\n  ? d\n  : ~\n".encode(),
        "tags": f"%YAML 1.1\n---\n{head}spec: !!map {{realtime: !!bool yes, a: !!str 1, b: .5e3}}\n...\n".encode(),
        "deep": b'{"a":' + b"[" * 99 + b"]" * 99 + b"}",
        "bomb": b"a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c]\n",
    }


def _settings() -> Seeds:
    return {
        "many": b'[reboot]\nper_day = 7\nstuck_after = 1.5\n[content]\nkeys = ["/etc/keys"]\ntrust = "digest-only"\n',
        "inline": b'metrics = {listen = "unix:/run/x", textfile = ""}\nnode_config.settle = 2\ntuning.x.y = 1\n',
        "kinds": b'a = 1979-05-27T07:32:00Z\nb = """x\ny"""\n[[c]]\nd = [1, [2.0, inf, nan], "\\u00e9", 0xff]\n',
        "unknown": b"[rebot]\nper_dya = 1\n",
    }


def _records() -> Seeds:
    target = Target(KernelType.REALTIME, "c" * 64, DIGEST, (_CORE,), _UNAME)
    attempt = Attempt(target, Phase.STAGED, "boot", 1.5e9, "rhcos-0", on_staged=True)
    failure = Failure(Code.NOT_FINALIZED, "it booted the old one", "look")
    full = Record(
        attempt, (Tries("t", 2),), (1.5e9, 1.6e9), Verified(target, 1.0, 2.0, ("rhcos-0.0",)), failure, ("kernel",)
    )
    found = {}
    for name, record in (("full", full), ("empty", Record())):
        with fresh_directory() as root:
            save_record(HostEffects(), HostPaths(root), record)
            found[name] = HostPaths(root).record.read_bytes()
    return found | {"newer": b'{"version": 99}', "cut": found["full"][:200]}


def _policies() -> Seeds:
    anything, reject = {"type": "insecureAcceptAnything"}, {"type": "reject"}
    scopes = {"": [anything], "registry.example/os": [reject], "*.example": [anything], "registry.example": []}
    return {
        "anything": _json({"default": [anything]}),
        "scopes": _json({"default": [reject], "transports": {"docker": scopes, "oci": {}}}),
        "wrong": _json({"default": {"type": 1}, "transports": []}),
    }


def _host_files() -> Seeds:
    return {
        "secret": _json({"auths": {"registry.example": {"auth": "dTpw"}}}),
        "empty": b"{}\n",
        "proxies": b"HTTP_PROXY=http://proxy.example:1\n# x\n NO_PROXY = 'a,b'\nhttps_proxy=\"x=y\"\nPATH=/x\n",
    }


def _references() -> Seeds:
    return {
        "pinned": f"registry.example:5000/a/os:4.19@{DIGEST}".encode(),
        "layout": b"oci:/var/images/os:tag",
        "docker": b"docker://os",
    }


def _documents() -> Seeds:
    layer = {"mediaType": _TAR, "digest": DIGEST, "size": 10}
    config = {"architecture": "amd64", "rootfs": {"diff_ids": [DIGEST]}, "config": {"Labels": {"version": "4.19"}}}
    manifest = {"mediaType": _MANIFEST, "config": _entry(_CONFIG), "layers": [layer]}
    index = {
        "mediaType": _INDEX,
        "manifests": [_entry(_MANIFEST) | {"platform": {"os": "linux", "architecture": "amd64"}}],
    }
    top = _json({"manifests": [_entry(_MANIFEST)]})
    return {
        "image": SEPARATOR.join((_VERSION, top, _json(manifest), _json(config))),
        "index": SEPARATOR.join((_VERSION, top, _json(index), _json(manifest), _json(config))),
        "plain": SEPARATOR.join((_VERSION, top, _json(manifest | {"layers": []}), b"{}")),
    }


def _entry(kind: str) -> dict[str, object]:
    return {"mediaType": kind, "digest": _NEXT, "size": 300}


def _packages() -> Seeds:
    capabilities = (f"kernel-rt-core-uname-r = {_UNAME}", "kernel-rt-x >= 1")
    return {
        "signed": build_rpm(_CORE, kernel_release=_UNAME, payload=b"k" * 64, provides=capabilities),
        "unsigned": build_rpm(_CORE, kernel_release=_UNAME, requires=capabilities, secret_key=""),
        "other": build_rpm(Nevra("htop", 3, "1", "2", "noarch"), payload=b"x"),
    }


def _layers() -> Iterator[tuple[str, bytes]]:
    rpm = _packages()["unsigned"]
    entries = {
        "extensions": Directory(),
        "extensions/kernel-rt-core.rpm": rpm,
        "extensions/x/old.rpm": Whiteout(),
        "usr/share/rpm-ostree/extensions/y": Opaque(),
        "etc/link": SymbolicLink("../x"),
        "etc/hard": HardLink("etc/link"),
        "dev/pipe": Pipe(),
        "a/" * 80 + "é": b"long",
    }
    plain = _archive(entries)
    yield "plain", plain
    yield "gzip", gzip.compress(plain, mtime=0)
    yield "members", b"".join(gzip.compress(plain[at : at + 3000], mtime=0) for at in range(0, len(plain), 3000))
    yield "zstd", zstandard.ZstdCompressor().compress(plain)
    yield "frames", b"\x50\x2a\x4d\x18\x01\0\0\0x" + zstandard.ZstdCompressor().compress(plain)
    yield "gnu", _gnu(rpm)
    yield "link", _archive({"extensions/a.rpm": SymbolicLink("/etc/shadow")})
    yield "deep", _archive({"extensions/" + "a/" * 400: b"x", "extensions/b/c/d.rpm": rpm})


def _gnu(rpm: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in (("x" * 120 + ".rpm", rpm), ("sparse", b"")):
            member = tarfile.TarInfo(name)
            member.size, member.type = len(data), tarfile.GNUTYPE_SPARSE if not data else tarfile.REGTYPE
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _commits() -> Seeds:
    packages = ("kernel-core-5.14.0-284.el9.x86_64", "kernel-tools-1:5.14.0-284.el9.x86_64", "bash-5-1.el9.noarch")
    return {
        "listed": build_os("416.94", packages, "5.14.0-284.el9.x86_64").commit,
        "plain": build_os("416.94", packages, "5.14.0-284.el9.x86_64", listed=False).commit,
        "list": "\n".join(packages).encode(),
    }


def _os_layers() -> Iterator[tuple[str, bytes]]:
    name, kept = f"objects/{SYSTEM.checksum[:2]}/{SYSTEM.checksum[2:]}.commit", "sysroot/ostree/repo"
    yield "container", _archive({f"{kept}/{name}": SYSTEM.commit})
    named = {f"srv/repo/{name}": SYSTEM.commit, "srv/repo/refs/heads/a": SYSTEM.checksum.encode()}
    yield "repository", _archive(named)
    yield "hidden", _archive({"srv": Opaque(), "srv/repo/x": Whiteout()} | named)
    bare = build_os("1", (), "1", listed=False)
    files = {f"srv/repo/{part}": data for part, data in bare.repository("a").items()}
    yield "listed", gzip.compress(_archive(files | {"pkglist.txt": _commits()["list"]}), mtime=0)


def _repositories() -> Iterator[tuple[str, bytes]]:
    files = {f"srv/repo/{part}": data for part, data in SYSTEM.repository("a/b").items()}
    yield "whole", gzip.compress(_archive(files), mtime=0)
    yield "plain", _archive(files)
    links = {"srv/repo/refs/heads/c": SymbolicLink("a"), "srv/repo/x": HardLink("srv/repo/config")}
    yield "links", _archive(files | links)
    yield "hidden", _archive(files | {"srv/www": Whiteout(), "srv/repo/objects": Opaque()})
    yield "large", gzip.compress(_archive(files | {f"srv/repo/objects/aa/{'0' * 62}.filez": bytes(1 << 17)}), mtime=0)
    yield "packages", gzip.compress(_archive(files | {"a.rpm": _packages()["unsigned"]}), mtime=0)
    yield "bare", _archive({"srv/repo/config": b'[core]\nrepo_version = 1\nmode = bare-user\n[remote "x"]\nurl=y\n'})


def _os_answers() -> Seeds:
    image = frames.encode(ImageFrame(DIGEST, "amd64", "", "4.19", Way.LAYOUT, "it is one"))
    system = OsImage(DIGEST, OsForm.REPOSITORY, SYSTEM.checksum, "1", "1", "x86_64", (_CORE,))
    container = frames.encode(OsFrame(replace(system, form=OsForm.CONTAINER)))
    parts = {name: data for name, data in SYSTEM.repository("a").items() if name != "config"}
    small = frames.encode(FilesFrame(tuple(FileFrame(name, len(data)) for name, data in parts.items())))
    data = b"".join(parts.values())
    name = f"objects/aa/{'0' * 62}.filez"
    large = frames.encode(FileFrame(name, 600)) + (frames.encode(ChunkFrame(300)) + bytes(300)) * 2
    rpm = frames.encode(FileFrame("a.rpm", 9)) + frames.encode(ChunkFrame(9)) + b"some rpm."
    done = frames.encode(DoneFrame())
    said = frames.encode(ProgressFrame(1, 2)) + frames.encode(OsFrame(system)) + done
    judged = frames.encode(PackageFrame(_CORE, _UNAME, (), ())) + done
    error = frames.encode(ErrorFrame(Failure(Code.OS_IMAGE_UNSUPPORTED, "it is", "look")))
    return {
        "whole": image + small + data + rpm + large + said + SEPARATOR + judged,
        "plain": image + small + data + said + SEPARATOR,
        "container": image + container + done + SEPARATOR,
        "both": image + small + data + rpm + container + done + SEPARATOR + judged,
        "twice": image + (small + data) * 2 + said + SEPARATOR,
        "error": image + small + data + rpm + error + SEPARATOR + error,
        "unjudged": image + small + data + rpm + said + SEPARATOR + error,
        "empty": image + said + SEPARATOR,
    }


def _worker_answers() -> Seeds:
    rpm = _packages()["unsigned"][:600]
    image = frames.encode(ImageFrame(DIGEST, "amd64", "", "4.19", Way.LAYOUT, "it is one"))
    file = frames.encode(FileFrame("extensions/a.rpm", len(rpm)))
    progress = frames.encode(ProgressFrame(10, 20))
    chunks = (
        frames.encode(ChunkFrame(100)) + rpm[:100] + progress + frames.encode(ChunkFrame(len(rpm) - 100)) + rpm[100:]
    )
    done = frames.encode(DoneFrame())
    package = frames.encode(PackageFrame(_CORE, _UNAME, ("kernel-rt = 1",), ("kernel-rt-x",)))
    error = frames.encode(ErrorFrame(Failure(Code.IMAGE_UNSAFE, "it is", "look")))
    return {
        "whole": image + file + chunks + done + SEPARATOR + package + done,
        "twice": image + (file + chunks) * 2 + done + SEPARATOR + package * 2 + done,
        "none": image + done + SEPARATOR,
        "error": image + error + SEPARATOR,
        "late": image + file + chunks + done + SEPARATOR + error,
    }


def _worker_requests() -> Seeds:
    fetch = FetchRequest("oci:/x:t", ("kernel-rt-core",), "x86_64", 64, 1 << 30, 512, "/", ("/a",), "/s", 1000)
    os = OsRequest("oci:/x:t", ("kernel-rt-core",), "x86_64", 64, 1 << 30, 512, 1 << 18, 1 << 30)
    return {
        "inspect": frames.encode_request(InspectRequest()) + b"\x01\x01",
        "keys": frames.encode_request(InspectRequest(("k",))) + b"\x81\x01",
        "many": frames.encode_request(InspectRequest()) + b"\x01" * 8,
        "none": frames.encode_request(InspectRequest(("a", "b"))) + b"\x82\x00\x01",
        "fetch": frames.encode_request(fetch),
        "os": frames.encode_request(os),
    }


def _proxy() -> Seeds:
    def reply(value: object, pipe: int = 0, error: str = "") -> bytes:
        return _json({"success": not error, "value": value, "pipeid": pipe, "error": error}) + b"\n"

    begin = reply("0.2.8") + reply(1)
    manifest = PIPE + b'{"schemaVersion":2}\n' + reply([DIGEST, 19], 5) + reply(None)
    blob = PIPE + b"0123456789" * 6 + b"abcd\n" + reply(64, 6) + reply(None)
    denied = "reading manifest: unauthorized: authentication required"
    return {
        "whole": begin + manifest + blob,
        "denied": reply("0.2.0") + reply(0, error=denied),
        "broken": begin + manifest + PIPE + b"short\n" + reply(64, 6) + reply(0, error="unexpected EOF"),
    }


def _messages() -> Seeds:
    body: list[Value] = [
        Typed("a{sv}", {"a": Typed("ai", [1, 2]), "b": Typed("(sb)", ["x", True])}),
        b"raw",
        "/a/b",
        1.5,
    ]
    answer = Message(Kind.RETURN, serial=9, reply_serial=1, signature="vayod", body=body)
    error = Message(Kind.ERROR, serial=9, reply_serial=1, error="a.b.C", signature="s", body=["no"])
    signal = Message(
        Kind.SIGNAL, serial=3, path="/a", interface="a.b", member="C", sender="x.y", signature="h", body=[0]
    )
    deep: Value = "x"
    for _ in range(40):
        deep = Typed("v", deep) if isinstance(deep, Typed) else Typed("s", deep)
    nested = Message(Kind.RETURN, serial=9, reply_serial=1, signature="v", body=[deep])
    return {
        "answer": b"\0" + encode(answer),
        "error": b"\0" + encode(signal) + encode(error),
        "descriptors": b"\x02"
        + encode(Message(Kind.SIGNAL, 3, path="/a", interface="a.b", member="C", descriptors=(0, 1))),
        "nested": b"\0" + encode(nested),
        "big_endian": b"\0B\1\0\1" + struct.pack(">III", 0, 1, 0),
    }


def _deployments() -> Seeds:
    entry = {
        "id": "rhcos-1.0",
        "osname": "rhcos",
        "checksum": "c" * 64,
        "base-checksum": "b" * 64,
        "version": "4.19",
        "booted": True,
        "pinned": False,
        "requested-packages": ["strace"],
        "requested-local-packages": [str(_CORE)],
        "requested-base-removals": ["kernel-core"],
        "requested-base-local-replacements": ["a-1-1.x86_64"],
        "requested-base-remote-replacements": [["from", ["b-1-1.x86_64"]]],
        "container-image-reference-digest": DIGEST,
        "custom-origin": [f"pivot://registry.example/os@{DIGEST}", "by the operator"],
        "layered-commit-meta": {"ostree.linux": _UNAME},
    }
    other = {"id": "x", "osname": "other", "checksum": "a", "staged": True, "finalization-locked": True}
    typed: Value = [{"id": Typed("s", "x"), "osname": Typed("s", "o"), "booted": Typed("b", value=True)}]
    message = Message(Kind.RETURN, serial=2, reply_serial=1, signature="v", body=[Typed("aa{sv}", typed)])
    return {"two": _json([entry, other]), "message": encode(message), "one": _json([other])}


def _transactions() -> Seeds:
    def signal(member: str, signature: str, *body: Value) -> bytes:
        return encode(
            Message(
                Kind.SIGNAL, 5, path="/", interface=TRANSACTION, member=member, signature=signature, body=list(body)
            )
        )

    started = encode(Message(Kind.RETURN, 1, reply_serial=1, signature="b", body=[True]))
    joined = encode(Message(Kind.RETURN, 1, reply_serial=1, signature="b", body=[False]))
    refused = encode(Message(Kind.ERROR, 1, reply_serial=1, error="a.b.C", signature="s", body=["no"]))
    progress = signal("TaskBegin", "s", "Checking out") + signal("PercentProgress", "su", "Importing", 50)
    more = signal("Message", "s", "hello") + signal("ProgressEnd", "") + signal("SignatureProgress", "avs", [], "c")
    return {
        "done": started + progress + more + signal("Finished", "bs", True, ""),
        "failed": started + progress + signal("Finished", "bs", False, "error: no room"),
        "early": signal("Finished", "bs", True, "") + started,
        "lost": started + progress,
        "joined": joined,
        "refused": refused,
    }


def _authentication() -> Seeds:
    return {
        "ok": b"OK 0123456789abcdef\r\nAGREE_UNIX_FD\r\n",
        "rejected": b"REJECTED EXTERNAL DBUS_COOKIE_SHA1\r\n",
        "cut": b"OK 0123",
        "long": b"OK " + b"x" * 20000,
    }


def _control() -> Seeds:
    return {
        "retry": b'{"verb": "retry"}\n',
        "apply": b'{"verb": "apply", "x": 1}\n',
        "follow": b'{"verb": "follow"}\n',
        "other": b'{"verb": ["x"]}\n{"verb": "retry"}\n',
    }


def _control_answers() -> Seeds:
    return {
        "ok": b'{"ok": true, "text": "done"}\n',
        "no": b'{"ok": false, "text": "busy"}\n',
        "lines": b'{"state": "steady"}\n{"state": "fetching"}\n{"ok": true, "text": "stops"}\n',
    }


def _http() -> Seeds:
    return {
        "metrics": b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text; version=1.0.0\r\n\r\n",
        "named": b"GET /metrics?name[]=mcd_rt_up&x=%41 HTTP/1.0\r\n\r\n",
        "head": b"HEAD / HTTP/1.1\r\n\r\n",
        "other": b"POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    }
