"""A skopeo that serves a layout, or misbehaves as it is told: for what the real one only does when it is broken.

Run as a program; what to do is in ``behaviour.json`` beside the script that runs it: ``layout``, ``digest``,
``version`` of the protocol, and ``fault``, a word with an argument after a colon.
"""

import hashlib
import json
import os
import signal
import socket
import stat
import sys
import threading
from pathlib import Path


def install(place: Path, **behaviour: object) -> Path:
    """Put one into a directory for ``PATH``; returns the directory."""
    place.mkdir(exist_ok=True)
    script = place / "skopeo"
    script.write_text(f"#!{sys.executable} -IS\n{Path(__file__).read_text()}\nmain(__file__)\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (place / "behaviour.json").write_text(json.dumps(behaviour))
    return place


_METHODS = {
    "Initialize": "initialize",
    "OpenImage": "open_image",
    "GetManifest": "get_manifest",
    "GetBlob": "get_blob",
    "FinishPipe": "finish_pipe",
}


class Fake:
    def __init__(self, behaviour: dict, place: Path) -> None:
        self.behaviour, self.place = behaviour, place
        self.fault, _, self.argument = str(behaviour.get("fault", "")).partition(":")
        self.pipes: dict[int, tuple[int, threading.Thread, list[str]]] = {}

    def blob(self, digest: str) -> bytes:
        return (Path(self.behaviour["layout"]) / "blobs" / digest.replace(":", "/")).read_bytes()

    def proxy(self) -> None:
        connection = socket.socket(fileno=0)
        while data := connection.recv(65536):
            request = json.loads(data)
            reply, descriptors = self.answer(request["method"], request["args"])
            packet = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            socket.send_fds(connection, [packet], descriptors)
            for descriptor in descriptors:
                os.close(descriptor)

    def answer(self, method: str, arguments: list) -> tuple:
        if self.fault == "silent" and method == self.argument:
            signal.pause()
        if self.fault == "ends" and method == self.argument:
            os._exit(1)
        if self.fault == "packet" and method == self.argument:
            return b"x" * 40_000, []
        if self.fault == "nonsense" and method == self.argument:
            return b"nonsense", []
        if self.fault == "value" and method == self.argument.partition("=")[0]:
            return self.success(json.loads(self.argument.partition("=")[2]))
        if self.fault == "complaint" and method == "OpenImage":
            return {"success": False, "error": self.argument}, []
        return getattr(self, _METHODS[method])(*arguments)

    def success(self, value: object = None, pipe: int = 0) -> tuple:
        return {"success": True, "value": value, "pipeid": pipe, "error": ""}, []

    def initialize(self) -> tuple:
        return self.success(self.behaviour.get("version", "0.2.3"))

    def open_image(self, reference: str) -> tuple:
        with (self.place / "opened").open("a") as opened:
            opened.write(f"{reference}\n")
        if self.fault == "rejects" and reference.endswith(self.argument):
            return {
                "success": False,
                "error": "Source image rejected: A signature was required, but no signature exists",
            }, []
        return self.success(1)

    def get_manifest(self, _image: int) -> tuple:
        return self.piped(self.blob(self.behaviour["digest"]), endless=self.fault == "endless-manifest")

    def get_blob(self, _image: int, digest: str, size: int) -> tuple:
        data, error = self.blob(digest), ""
        config = b'"rootfs"' in data
        if self.fault == "breaks" and not config and self.count() < int(self.argument):
            data, error = data[: len(data) // 2], "unexpected EOF"
        return self.piped(data, error, endless=self.fault == "endless-blob" and not config)

    def finish_pipe(self, pipe: int) -> tuple:
        descriptor, thread, errors = self.pipes.pop(pipe)
        thread.join()
        os.close(descriptor)
        return ({"success": False, "error": errors[0]}, []) if errors[0] else self.success()

    def piped(self, data: bytes, error: str = "", *, endless: bool = False) -> tuple:
        ours, theirs = os.pipe()
        errors = [error]

        def write() -> None:
            try:
                left = data
                while left or endless:
                    left = left[os.write(theirs, left or b"x" * 65536) :]
            except BrokenPipeError:
                errors[0] = "broken pipe"

        thread = threading.Thread(target=write)
        thread.start()
        self.pipes[theirs] = (theirs, thread, errors)
        return self.success(None, theirs)[0], [ours]

    def count(self) -> int:
        """How often this was asked, over all processes."""
        with (self.place / "count").open("a+") as counted:
            counted.seek(0)
            before = len(counted.read())
            counted.write("x")
        return before

    def inspect(self, address: str) -> None:
        if self.fault == "no-raw":
            sys.exit('time="now" level=fatal msg="reading manifest: manifest unknown"')
        if self.fault == "raw":
            sys.stdout.buffer.write(b" " * int(self.argument))
            return
        digest = address.partition("@")[2] or self.behaviour["digest"]
        sys.stdout.buffer.write(self.blob(digest))

    def copy(self, target: str) -> None:
        (self.place / "copied").write_text(" ".join(sys.argv))
        if self.fault == "no-copy":
            sys.exit('time="now" level=fatal msg="Source image rejected: no signature"')
        Path(target).mkdir()
        for path in (Path(self.behaviour["layout"]) / "blobs/sha256").iterdir():
            data = path.read_bytes()
            assert hashlib.sha256(data).hexdigest() == path.name
            (Path(target) / path.name).write_bytes(data)
        if self.fault == "copy-hangs":
            signal.pause()


def main(script: str) -> None:
    place = Path(script).parent
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    fake = Fake(json.loads((place / "behaviour.json").read_text()), place)
    if "--authfile" in sys.argv:
        (place / "secret").write_bytes(Path(sys.argv[sys.argv.index("--authfile") + 1]).read_bytes())
    if "experimental-image-proxy" in sys.argv:
        fake.proxy()
    elif "inspect" in sys.argv:
        fake.inspect(sys.argv[-1])
    else:
        fake.copy(sys.argv[-1].removeprefix("dir:"))
    sys.stdout.flush()
    os._exit(0)
