"""Of a repository only what an archive has is taken, by names that lead nowhere else."""

import pytest

from mcd_rt.content.repository import checksum_in, concerns, is_foreign, is_part, is_ref, mode_of, object_of

SUM = "ab" + "0" * 62


@pytest.mark.parametrize("kind", ["commit", "commitmeta", "dirtree", "dirmeta", "filez"])
def test_objects_of_an_archive_are_parts(kind):
    assert is_part(object_of(SUM, kind))


@pytest.mark.parametrize("name", ["refs/heads/rhcos", "refs/heads/rhcos/x86_64/4.11", f"refs/heads/{'a/' * 7}b"])
def test_branches_are_parts(name):
    assert is_part(name)
    assert is_ref(name)


@pytest.mark.parametrize(
    "name",
    [
        "config",
        "refs/heads",
        "refs/heads/",
        "refs/heads/..",
        "refs/heads/../../x",
        "refs/heads/.a",
        "refs/heads/a/../b",
        "refs/heads/a//b",
        "refs/heads/a\n",
        "refs/heads/é",
        f"refs/heads/{'a/' * 8}b",
        f"refs/heads/{'a' * 102}",
        f"refs/heads/{'/'.join(['a' * 100] * 3)}",
        "refs/remotes/a/b",
        "objects/ab/x.commit",
        f"objects/AB/{'0' * 62}.commit",
        f"objects/ab/{'0' * 62}.commit\n",
        f"objects/ab/{'0' * 62}.file",
        f"objects/ab/{'0' * 62}.sig",
        f"/objects/ab/{'0' * 62}.commit",
        f"x/objects/ab/{'0' * 62}.commit",
        "state/x",
        "tmp/cache/x",
    ],
)
def test_nothing_else_is_one(name):
    assert not is_part(name)


def test_objects_of_other_modes_are_known_as_such():
    assert is_foreign(object_of(SUM, "file"))
    assert is_foreign(object_of(SUM, "file-xattrs-link"))
    assert not is_foreign(object_of(SUM, "filez"))


def test_the_name_of_metadata_is_its_checksum_and_that_of_content_is_not():
    assert [checksum_in(object_of(SUM, kind)) for kind in ("commit", "dirtree", "dirmeta")] == [SUM] * 3
    assert [checksum_in(name) for name in (object_of(SUM, "filez"), object_of(SUM, "commitmeta"), "refs/heads/a")] == [
        ""
    ] * 3


@pytest.mark.parametrize("path", ["", "srv", "srv/repo", "srv/repo/config", "srv/repo/objects/ab"])
def test_what_hides_a_part_of_the_repository(path):
    assert concerns(path)


@pytest.mark.parametrize("path", ["s", "srv/rep", "srv/repository", "srv/www", "usr/srv/repo"])
def test_what_hides_something_else(path):
    assert not concerns(path)


@pytest.mark.parametrize("mode", ["archive-z2", "archive", "bare-user"])
def test_the_mode_is_what_the_config_says(mode):
    config = f'# a comment\n[core]\nrepo_version=1\nmode={mode}\n\n[remote "x"]\nurl=https://registry.example/%(x)s\n'
    assert mode_of(config.encode()) == mode


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b"", "No section: 'core'"),
        (b"mode=archive", "no section headers"),
        (b"[core]\nmode=archive\n", "repo_version"),
        (b"[core]\nrepo_version=1\n", "mode"),
        (b"[core]\nrepo_version=2\nmode=archive\n", "repo_version is '2', expected '1'"),
        (b"[core]\nxyz\n", "parsing errors"),
        (b"\xff", "can't decode"),
    ],
)
def test_what_is_no_config_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        mode_of(config)
