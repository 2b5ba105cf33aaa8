"""A blob is proven at its end, and whatever else was wrong with it, a wrong digest is what is said."""

import hashlib
import io

import pytest

from mcd_rt.content.blob import Descriptor, VerifiedReader, verified
from mcd_rt.errors import AgentError, Code

DATA = b"layer" * 100
BLOB = Descriptor("", f"sha256:{hashlib.sha256(DATA).hexdigest()}", len(DATA))


def ignore(_taken: int) -> None:
    pass


def test_a_blob_is_read_to_its_end_even_if_nobody_reads_it():
    taken = []
    with verified(io.BytesIO(DATA), BLOB, taken.append) as reader:
        assert reader.read(3) == b"lay"
    assert reader.taken == sum(taken) == len(DATA)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DATA[:-1], "has 499 bytes, its manifest says 500"),
        (DATA + b"x", "is longer than the 500 bytes its manifest says"),
        (b"L" + DATA[1:], "has the digest sha256:"),
    ],
)
def test_another_blob_than_promised_is_an_error_when_the_block_is_left(data, message):
    with (
        pytest.raises(AgentError, match=message) as caught,
        verified(io.BytesIO(data), BLOB, ignore) as reader,
    ):
        assert reader.read(4) == data[:4]
    assert caught.value.failure.code is Code.IMAGE_DIGEST_MISMATCH


def test_a_failure_in_a_blob_that_is_not_the_promised_one_is_a_wrong_digest():
    with (
        pytest.raises(AgentError) as caught,
        verified(io.BytesIO(b"L" + DATA[1:]), BLOB, ignore),
    ):
        raise AgentError(Code.IMAGE_UNREADABLE, "nonsense in it")
    assert caught.value.failure.code is Code.IMAGE_DIGEST_MISMATCH


def test_a_failure_in_the_promised_blob_stays_what_it_is():
    with pytest.raises(AgentError, match="nonsense in it"), verified(io.BytesIO(DATA), BLOB, ignore):
        raise AgentError(Code.IMAGE_UNREADABLE, "nonsense in it")


def test_a_disk_that_fails_is_named():
    class Broken:
        def read(self, size: int) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(AgentError, match=f"cannot read blob {BLOB.digest}: Input/output error") as caught:
        VerifiedReader(Broken(), BLOB, ignore).read(1)
    assert caught.value.failure.code is Code.IMAGE_UNREADABLE
