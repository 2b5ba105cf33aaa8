"""``rpm-ostree db list`` of root: ostree's own command wants a mount name space then, which the unit does not allow."""

import sys

import gi

gi.require_version("OSTree", "1.0")
from gi.repository import Gio, OSTree  # noqa: E402 - the version has to be said first


def main(checksum: str) -> None:
    """Print the packages of a commit."""
    repo = OSTree.Repo.new(Gio.File.new_for_path("/ostree/repo"))
    repo.open(None)
    _, root, _ = repo.read_commit(checksum, None)
    _, text, _ = root.resolve_relative_path("usr/share/simulated-packages").load_contents(None)
    sys.stdout.write(bytes(text).decode())


if __name__ == "__main__":
    main(sys.argv[1])
