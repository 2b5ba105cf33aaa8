"""Whose packages are taken: every signature must be by one of the keys, and it is said who judged that.

``rpmkeys`` judges where the host has it, so that the crypto policy and FIPS mode of the host count; elsewhere
rpm-rs does. Runs in the worker that inspects: keys and packages are foreign bytes.
"""

import base64
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from shutil import which  # noqa: TID251 - it looks, it changes nothing
from tempfile import TemporaryDirectory
from typing import Protocol

from rpm_rs import PackageMetadata, Verifier

from mcd_rt.content.fields import printable
from mcd_rt.content.panics import panics_as_errors
from mcd_rt.content.programs import Ended, end_program, hear_program, run_program, start_program
from mcd_rt.errors import AgentError, Code
from mcd_rt.frozen import frozen
from mcd_rt.model.content import Judge

MAX_KEY = 1 << 20
_MAX_BINARY = 1 << 17  # as much is a tenth of a second; a key has some thousand bytes

# Everything must be right that RPM knows to look at, but for MD5: SHA-256 says the same of the same bytes in a third of
# the time, and where FIPS is on there is no MD5. Bits of the flags: rpmVSFlags in RPM's rpmts.h (RPMVSF_NOMD5).
_LEVEL = ("-D", "_pkgverify_level all", "-D", "_pkgverify_flags 0x20000", "-v")
_SIGNED = re.compile(r"^\s*Header .*signature.*: OK$", re.MULTILINE | re.IGNORECASE)
_PAYLOAD = re.compile(r"^\s*Payload SHA256 digest: OK$", re.MULTILINE)

_PATIENCE = 60.0
_MAX_OUTPUT = 1 << 16
_BEGIN, _END = (b"-----%s PGP PUBLIC KEY BLOCK-----" % word for word in (b"BEGIN", b"END"))
_BLOCK = re.compile(_BEGIN + rb".*?" + _END, re.DOTALL)


@frozen
class Key:
    """A file of public keys: what to call it, and what is in it."""

    name: str
    data: bytes


class Trust(Protocol):
    """What decides whether a package is taken."""

    @property
    def judge(self) -> Judge:
        """Who decides."""

    def judging(
        self, descriptor: int, metadata: PackageMetadata, path: str, /
    ) -> AbstractContextManager[Callable[[], bool]]:
        """Begin to judge the package behind the descriptor; what is handed out raises unless it is to be trusted.

        It is asked once, and says whether the payload was found to be the one that the headers promise, too: else that
        is still to be found out. ``metadata`` are those headers, with digests that are right. It raises ``AgentError``:
        ``package-unsigned``, ``package-signature-bad``. Nothing goes on after the block.
        """


@frozen
class DigestsOnly:
    """Takes every package whose own digests are right, whoever made it."""

    judge: Judge = Judge.NOBODY

    @contextmanager
    def judging(self, descriptor: int, metadata: PackageMetadata, path: str) -> Iterator[Callable[[], bool]]:
        """See ``Trust``."""
        del descriptor, metadata, path
        yield lambda: False


@contextmanager
def signed_by(keys: Sequence[Key]) -> Iterator[Trust]:
    """Takes packages that are signed by one of the keys; files with none that can be used are passed over.

    Raises ``AgentError`` (``package-signature-bad``) if none of the files has one.
    """
    if (rpmkeys := which("rpmkeys")) is None:
        yield _Library(_verifier(keys))
        return
    with TemporaryDirectory(prefix="mcd-rt-keys-") as place:
        yield _Rpmkeys(rpmkeys, _import(rpmkeys, keys, Path(place)))


@frozen
class _Rpmkeys:
    """RPM itself, with a database of its own."""

    program: str
    database: Path
    judge: Judge = Judge.RPMKEYS

    @contextmanager
    def judging(self, descriptor: int, metadata: PackageMetadata, path: str) -> Iterator[Callable[[], bool]]:
        """It reads and hashes while others do: that takes longer than everything else here."""
        # From standard input: a file that only root may read cannot be opened again by its descriptor's name.
        os.lseek(descriptor, 0, os.SEEK_SET)
        argv = (self.program, *_database(self.database), *_LEVEL, "-K", "-")
        process = start_program(argv, _environment(), stdin=descriptor, piped=True)

        def ask() -> bool:
            _check_signed(metadata, path)
            return _said(hear_program(process, self.program, patience=_PATIENCE, most=_MAX_OUTPUT), path)

        try:
            yield ask
        finally:
            end_program(process)
            os.lseek(descriptor, 0, os.SEEK_SET)


@frozen
class _Library:
    """rpm-rs: the signature of the header, which has the digest of the payload."""

    verifier: Verifier
    judge: Judge = Judge.RPM_RS

    @contextmanager
    def judging(self, descriptor: int, metadata: PackageMetadata, path: str) -> Iterator[Callable[[], bool]]:
        """Only the header is looked at: there is nothing to begin with."""
        del descriptor

        def ask() -> bool:
            _check_signed(metadata, path)
            try:
                with panics_as_errors():
                    metadata.verify_signature(self.verifier)
            except (RuntimeError, ValueError) as error:
                raise _bad(path, f"rpm-rs says {printable(str(error), 256)!r}") from error
            return False

        yield ask


def _said(ended: Ended, path: str) -> bool:
    """Whether RPM looked at the payload as well; raises unless it says that it is content with a signature."""
    said = ended.output.decode(errors="replace")
    # Versions that do not know the level pass unsigned packages, but say what they looked at.
    if ended.status or not _SIGNED.search(said):
        raise _bad(path, f"rpmkeys says {printable(_complaint(said) or ended.complaint.strip(), 256)!r}")
    return bool(_PAYLOAD.search(said))


def _complaint(said: str) -> str:
    """What RPM found to be wrong, of the lines in which it says what it looked at and looked for; else all of them."""
    lines = [line for each in said.splitlines() if (line := each.strip().removeprefix("-:").strip())]
    return "; ".join([line for line in lines if not line.endswith((": OK", ": NOTFOUND"))] or lines)


def _check_signed(metadata: PackageMetadata, path: str) -> None:
    if not metadata.raw_signatures():
        raise AgentError(
            Code.PACKAGE_UNSIGNED,
            f"{printable(path, 256)} has no signature of its header",
            'sign the packages, or say [content] trust = "digest-only" if the image alone is to be trusted',
        )


def _bad(path: str, why: str) -> AgentError:
    return AgentError(
        Code.PACKAGE_SIGNATURE_BAD,
        f"the signature of {printable(path, 256)} is by none of the keys, or wrong: {why}",
        "[content] keys says where keys are looked for; do not use this image unless its signer is known",
    )


def _no_key(keys: Sequence[Key]) -> AgentError:
    names = ", ".join(printable(key.name, 64) for key in keys[:8])
    return AgentError(
        Code.PACKAGE_SIGNATURE_BAD,
        f"no public key can be used of {names or 'no files'}",
        "[content] keys says where they are looked for",
    )


def _import(rpmkeys: str, keys: Sequence[Key], place: Path) -> Path:
    database = place / "db"
    database.mkdir()
    files = []
    for number, key in enumerate(keys):
        files.append(place / f"{number}.asc")
        files[-1].write_bytes(_armored(key.data))

    def take(*some: Path) -> bool:
        argv = (rpmkeys, *_database(database), "--import", *map(str, some))
        return run_program(argv, _environment(), patience=_PATIENCE, most=_MAX_OUTPUT).status == 0

    # Every call opens the database anew; only where one of the files has no key it matters which.
    if not take(*files) and not [file for file in files if take(file)]:
        raise _no_key(keys)
    return database


def _database(path: Path) -> tuple[str, ...]:
    return "--dbpath", str(path)


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": "/nonexistent"}


def _with_key(verifier: Verifier | None, block: bytes) -> Verifier:
    if verifier is None:
        return Verifier(block)
    verifier.load_from_asc_bytes(block)
    return verifier


def _armored(data: bytes) -> bytes:
    """A file of keys; one that is binary (RFC 4880, 4.2: its first bit is set) in armor, which both judges want."""
    if data[:1] < b"\x80" or len(data) > _MAX_BINARY:
        return data
    crc = 0xB704CE  # RFC 4880, 6.1
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    checksum = b"=" + base64.b64encode(crc.to_bytes(3, "big"))
    return b"\n".join((_BEGIN, b"", base64.encodebytes(data).rstrip(), checksum, _END, b""))


def _verifier(keys: Sequence[Key]) -> Verifier:
    verifier = None
    for block in (block for key in keys for block in _BLOCK.findall(_armored(key.data))):
        try:
            with panics_as_errors():
                verifier = _with_key(verifier, block)
        except (RuntimeError, ValueError):  # of a kind it does not know: others may do
            continue
    if verifier is None:
        raise _no_key(keys)
    return verifier
