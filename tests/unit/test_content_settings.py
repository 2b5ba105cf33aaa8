"""The settings of [content] take what they can mean, and nothing else."""

import pytest

from mcd_rt.errors import AgentError, Code
from mcd_rt.hostpaths import HostPaths
from mcd_rt.settings import load_settings


def loaded(tmp_path, text):
    drop_in = tmp_path / "etc/mcd-rt/config.d/1.toml"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(f"[content]\n{text}\n")
    return load_settings(HostPaths(tmp_path)).content


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ('trust = "digest-only"', "trust", "digest-only"),
        ('worker = "socket"', "worker", "socket"),
        ('keys = ["/a", "/b"]', "keys", ("/a", "/b")),
        ("authfile = []", "authfile", ()),
        ('authfile = ["${CREDENTIALS_DIRECTORY}/x", "/y"]', "authfile", ("${CREDENTIALS_DIRECTORY}/x", "/y")),
        ("max_cache_bytes = 1", "max_cache_bytes", 1),
    ],
)
def test_what_is_taken(tmp_path, text, key, value):
    assert getattr(loaded(tmp_path, text), key) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('trust = "anyone"', "content.trust: found 'anyone', expected one of require, digest-only"),
        ('worker = "thread"', "content.worker: found 'thread', expected one of auto, socket, child"),
        ('keys = ["keys"]', "content.keys: found an array, expected paths, all of them absolute"),
        (
            'authfile = ["~/auth.json"]',
            "content.authfile: found an array, expected paths, all of them absolute or",
        ),
        ("max_cache_bytes = 0", "content.max_cache_bytes: found 0, expected at least 1"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    with pytest.raises(AgentError) as caught:
        loaded(tmp_path, text)
    assert caught.value.failure.code is Code.SETTINGS_INVALID
    assert message in caught.value.failure.message
