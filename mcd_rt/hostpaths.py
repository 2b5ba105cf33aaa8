"""Where things are on a host, below one root, so that a simulated node can stand anywhere."""

from pathlib import Path

from mcd_rt.frozen import frozen


@frozen
class HostPaths:
    """Every path the agent reads or writes; ``root`` is ``/`` on a host."""

    root: Path

    def below(self, path: str) -> Path:
        """An absolute path of the host, below the root."""
        return self.root / path.lstrip("/")

    @property
    def settings(self) -> tuple[Path, ...]:
        """The drop-in directories, in rising precedence."""
        return tuple(self.below(f"{top}/mcd-rt/config.d") for top in ("/usr/lib", "/run", "/etc"))

    @property
    def record(self) -> Path:
        """The write-ahead record."""
        return self.below("/var/lib/mcd-rt/record.json")

    @property
    def tuned(self) -> Path:
        """Which tuned profile was there before ours."""
        return self.below("/var/lib/mcd-rt/tuned.json")

    @property
    def firstboot_done(self) -> Path:
        """There once the change before the first workload is over, whatever came of it."""
        return self.below("/var/lib/mcd-rt/firstboot-done")

    @property
    def cache(self) -> Path:
        """Fetched packages, a directory for each image."""
        return self.below("/var/cache/mcd-rt")

    @property
    def runtime(self) -> Path:
        """What lives as long as the boot: status, lock, control socket."""
        return self.below("/run/mcd-rt")

    @property
    def status(self) -> Path:
        """What the agent last said, readable by anyone."""
        return self.runtime / "status.json"

    @property
    def control(self) -> Path:
        """The socket of the running agent."""
        return self.runtime / "control.sock"

    @property
    def lock(self) -> Path:
        """Held by the one agent."""
        return self.runtime / "lock"
