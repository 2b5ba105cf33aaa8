"""A real registry on loopback, as the stories need it: TLS with its own CA, basic or token authentication."""

import base64
import hashlib
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

USER, PASSWORD = "node", "s3same-open"
HASHED = (
    "$2y$04$su550.uBQFpTBePGUCvtsuIQTS3raK5hV3wicI/MKfCURQiM9H6ue"  # bcrypt of it, the one kind docker-registry takes
)
START_TRIES = 5


@dataclass(frozen=True)
class Authority:
    """A certificate authority, and what it made for 127.0.0.1."""

    place: Path

    @property
    def certificate(self) -> Path:
        return self.place / "ca.crt"

    @property
    def server_certificate(self) -> Path:
        return self.place / "server.crt"

    @property
    def server_key(self) -> Path:
        return self.place / "server.key"


def make_authority(place: Path) -> Authority:
    place.mkdir(parents=True)
    (place / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n")
    for arguments in (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ca.key -out ca.crt -subj /CN=t",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=127.0.0.1",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.crt",
    ):
        subprocess.run(["openssl", *arguments.split()], cwd=place, check=True, capture_output=True)
    return Authority(place)


@dataclass(frozen=True)
class Registry:
    """A registry that runs: where it listens, and where its bytes are."""

    port: int
    storage: Path
    secret: str = ""
    authority: Authority | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def blob(self, digest: str) -> Path:
        """The file of a blob."""
        name = digest.removeprefix("sha256:")
        return self.storage / "docker/registry/v2/blobs/sha256" / name[:2] / name / "data"

    def push(self, source: str, repository: str, *options: str) -> str:
        """Push an image; returns the digest of what the registry has under that name now."""
        target = f"docker://{self.host}/{repository}"
        options = ("--dest-tls-verify=false", "--insecure-policy", *options)
        if self.secret:
            options = (*options, "--dest-creds", self.secret)
        order = ["skopeo", "--insecure-policy", "copy", "--quiet", *[o for o in options if o != "--insecure-policy"]]
        subprocess.run([*order, source, target], check=True)
        return self.digest(repository)

    def digest(self, repository: str) -> str:
        """The digest of a tag."""
        name, _, tag = repository.partition(":")
        link = self.storage / f"docker/registry/v2/repositories/{name}/_manifests/tags/{tag}/current/link"
        return link.read_text()

    def put_manifest(self, repository: str, document: bytes, media_type: str) -> str:
        """Put a manifest or an index that no tool would push."""
        name, _, tag = repository.partition(":")
        request = urllib.request.Request(f"http{'s' if self.authority else ''}://{self.host}/v2/{name}/manifests/{tag}")
        request.method, request.data = "PUT", document
        request.add_header("Content-Type", media_type)
        if self.secret:
            request.add_header("Authorization", f"Basic {base64.b64encode(self.secret.encode()).decode()}")
        context = ssl.create_default_context(cafile=str(self.authority.certificate)) if self.authority else None
        with urllib.request.urlopen(request, context=context) as answer:
            assert answer.status == 201
        return f"sha256:{hashlib.sha256(document).hexdigest()}"


@contextmanager
def run_registry(
    place: Path, *, authority: Authority | None = None, basic: bool = False, token_realm: str = ""
) -> Iterator[Registry]:
    """Run a registry whose bytes are below ``place``, until the block ends."""
    place.mkdir(parents=True, exist_ok=True)
    storage = place / "storage"
    secret = f"{USER}:{PASSWORD}" if basic else ""
    for _ in range(START_TRIES):
        port = _free_port()
        config = _config(place, storage, port, authority, secret, token_realm)
        with (place / "log").open("ab") as log:
            process = subprocess.Popen(
                ["docker-registry", "serve", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            if _answers(process, port):
                yield Registry(port, storage, secret, authority)
                return
        finally:
            process.terminate()
            process.wait(10)
    raise AssertionError((place / "log").read_text())


def _free_port() -> int:
    """One that is free now; docker-registry cannot say which it took of its own accord, so another may be faster."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


def _answers(process: "subprocess.Popen[bytes]", port: int) -> bool:
    """Whether it listens; no, when it has ended because somebody else does."""
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                return process.poll() is None
        except OSError:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
    return False


def _config(place: Path, storage: Path, port: int, authority: Authority | None, secret: str, token_realm: str) -> Path:
    config: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(storage)},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
    }
    server: dict[str, object] = {"addr": f"127.0.0.1:{port}"}
    if authority is not None:
        server["tls"] = {"certificate": str(authority.server_certificate), "key": str(authority.server_key)}
    config["http"] = server
    if secret:
        (place / "htpasswd").write_text(f"{USER}:{HASHED}\n")
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(place / "htpasswd")}}
    if token_realm:
        assert authority is not None
        config["auth"] = {
            "token": {
                "realm": token_realm,
                "service": "tests",
                "issuer": "tests",
                "rootcertbundle": str(authority.server_certificate),
            }
        }
    path = place / "config.yml"
    path.write_text(json.dumps(config))  # which is YAML
    return path


@dataclass
class TokenServer:
    """Gives tokens to who knows the password; ``asked`` are the scopes that were asked for."""

    authority: Authority
    port: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def realm(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"

    def token(self, scope: str) -> str:
        """A JSON Web Token that allows a scope (the distribution's token specification)."""
        certificate = ssl.PEM_cert_to_DER_cert(self.authority.server_certificate.read_text())
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(certificate).decode()]}
        kind, name, actions = scope.split(":") if scope else ("", "", "")
        access = [{"type": kind, "name": name, "actions": actions.split(",")}] if scope else []
        now = int(time.time())
        claims = {"iss": "tests", "sub": USER, "aud": "tests", "iat": now, "nbf": now - 5, "exp": now + 300}
        signed = ".".join(
            _base64url(json.dumps(part).encode()) for part in (header, claims | {"jti": "1", "access": access})
        )
        order = ["openssl", "dgst", "-sha256", "-sign", str(self.authority.server_key)]
        der = subprocess.run(order, input=signed.encode(), check=True, capture_output=True).stdout
        return f"{signed}.{_base64url(_raw_signature(der))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _raw_signature(der: bytes) -> bytes:
    """The two numbers of an ECDSA signature as RFC 7518 wants them, out of their DER sequence."""
    numbers, rest = [], der[2:]
    for _ in range(2):
        size = rest[1]
        numbers.append(int.from_bytes(rest[2 : 2 + size], "big").to_bytes(32, "big"))
        rest = rest[2 + size :]
    return b"".join(numbers)


@contextmanager
def run_token_server(authority: Authority) -> Iterator[TokenServer]:
    """Serve tokens until the block ends."""
    tokens = TokenServer(authority)
    expected = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scope = parse_qs(urlsplit(self.path).query).get("scope", [""])[0]
            if self.headers["Authorization"] != expected:
                self.send_error(401)
                return
            tokens.asked.append(scope)
            body = json.dumps({"token": tokens.token(scope)}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with _serving(Handler) as port:
        tokens.port = port
        yield tokens


@contextmanager
def run_liar(registry: Registry, layer: str, lie: str) -> Iterator[str]:
    """A server with the blobs of a registry that lies about one layer; yields its host.

    ``endless``: bytes without end or length. ``long`` and ``short``: a wrong Content-Length, with as many bytes.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            digest = self.path.rpartition("/")[2]
            if not digest.startswith("sha256:"):
                self._answer(b"{}", 2)
                return
            data = registry.blob(digest).read_bytes()
            if digest != layer:
                self._answer(data, len(data))
            elif lie == "short":
                self._answer(data[:1000], 1000)
            elif lie == "long":
                self._answer(data + bytes(1 << 20), len(data) + (1 << 20))
            else:
                self._answer(data, None)
                with suppress(OSError):
                    while True:
                        self.wfile.write(bytes(1 << 16))

        def _answer(self, data: bytes, length: int | None) -> None:
            self.send_response(200)
            kind = "application/octet-stream"
            if "/manifests/" in self.path:
                kind = json.loads(data)["mediaType"]
            self.send_header("Content-Type", kind)
            if length is None:
                self.close_connection = True
            else:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    with _serving(Handler) as port:
        yield f"127.0.0.1:{port}"


@contextmanager
def _serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class Wire:
    """A TCP connection to a registry that can be cut, or fall silent, after so many bytes from it."""

    def __init__(self, port: int, fault: Callable[[int, int], str]) -> None:
        """``fault`` is told which connection it is (from 0) and its bytes so far: "cut", "stall" or ""."""
        self._target = port
        self._fault = fault
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.carried = 0
        self.connections = 0
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for opened in self._sockets:
            _close(opened)
        for thread in self._threads:
            thread.join()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            number = self.connections
            self.connections += 1
            self._start(self._up, near, far)
            self._start(self._down, near, far, number)

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        try:
            while data := near.recv(65536):
                far.sendall(data)
        except OSError:
            pass
        _close(far)

    def _down(self, near: socket.socket, far: socket.socket, number: int) -> None:
        taken = 0
        try:
            while data := far.recv(65536):
                taken += len(data)
                match self._fault(number, taken):
                    case "cut":
                        break
                    case "stall":
                        self._over.wait()
                        break
                self.carried += len(data)
                near.sendall(data)
        except OSError:
            pass
        _close(near)
        _close(far)


def _close(opened: socket.socket) -> None:
    with suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)
    opened.close()


def write_authfile(path: Path, host: str, secret: str) -> Path:
    """A pull secret, as the kubelet has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(secret.encode()).decode()
    path.write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    path.chmod(0o600)
    return path


def trust_authority(root: Path, host: str, authority: Authority) -> None:
    """Put a CA where a host has those of registries."""
    place = root / "etc/containers/certs.d" / host
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(authority.certificate, place / "ca.crt")


def missing_programs() -> list[str]:
    """What has to be installed for the stories."""
    needed = ("skopeo", "docker-registry", "openssl", "rpmbuild", "rpmkeys", "rpm", "gpg")
    return [program for program in needed if shutil.which(program, path=os.environ["PATH"]) is None]
