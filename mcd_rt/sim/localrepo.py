"""An ostree repository behind a descriptor: ``ex-local-repo-remote``.

What is looked at is where ostree keeps things: ``config``, ``refs/heads``, ``objects/<2>/<62>.commit``. The
sentences are from source (rpm-ostree ``deploy_transaction_execute``, libostree ``ostree_repo_open_at`` and
``ostree_repo_resolve_rev``); what follows "Failed to open local repo" and "from local repo" is not recorded.
"""

from pathlib import Path

from mcd_rt.sim.refspec import is_checksum
from mcd_rt.sim.steps import Refused


def imported_commit(descriptor: int, revision: str) -> str:
    """The commit that a revision (a checksum, or a branch) names in the repository; raises ``Refused``."""
    repository = Path(f"/proc/self/fd/{descriptor}")
    if not repository.is_dir():
        raise Refused("Failed to open local repo: opendir(.): Not a directory")
    for needed in ("objects", "config"):
        if not (repository / needed).exists():
            raise Refused(f"Failed to open local repo: opendir({needed}): No such file or directory")
    commit = _resolved(repository, revision)
    if not (repository / "objects" / commit[:2] / f"{commit[2:]}.commit").is_file():
        raise Refused(f"Pulling commit {commit} from local repo: No such metadata object {commit}.commit")
    return commit


def _resolved(repository: Path, revision: str) -> str:
    name = revision.removeprefix(":")
    if is_checksum(name):
        return name
    head = repository / "refs/heads" / name
    if not head.is_file():
        raise Refused(f"Refspec '{revision}' not found")
    return head.read_text().strip()
