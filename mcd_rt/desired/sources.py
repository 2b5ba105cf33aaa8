"""Where the node's MachineConfigs are: the rendered one, and a directory of others."""

import errno
from dataclasses import dataclass
from pathlib import Path

from mcd_rt.desired.machineconfig import Absent, read_machine_config
from mcd_rt.desired.merge import merge_configs
from mcd_rt.errors import ConfigInvalid
from mcd_rt.fileidentity import identity_of
from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.desired import Desired, MachineConfig
from mcd_rt.model.kernel import KernelType
from mcd_rt.model.settings import NodeConfigSettings

_SUFFIXES = (".yaml", ".yml", ".json")
_RENDERED = NodeConfigSettings().sources
_ABSENT = (errno.ENOENT,)


@frozen
class NodeConfig:
    """What is wanted, and what of it another agent that knows the rendered config alone would act on.

    ``rendered_kernel_type`` is that of the config in the well-known places, whatever the settings name as sources;
    ``None`` where there is none, or it says nothing of the kernel type.
    """

    desired: Desired
    rendered_kernel_type: KernelType | None


def read_desired(paths: HostPaths, settings: NodeConfigSettings) -> Desired | Absent:
    """What all sources ask for together; as ``read_node_config``."""
    config = read_node_config(paths, settings)
    return config if isinstance(config, Absent) else config.desired


def read_node_config(paths: HostPaths, settings: NodeConfigSettings) -> NodeConfig | Absent:
    """What all sources ask for together; ``Absent`` where none of them has a config.

    Raises ``ConfigInvalid``: one config that cannot be believed makes the whole unbelievable, for it may be
    the one that matters.
    """
    rendered = first_config([paths.below(source) for source in settings.sources])
    added = [config for directory in settings.directories for config in configs_in(paths.below(directory))]
    if isinstance(rendered, Absent) and not added:
        return rendered
    own = rendered if settings.sources == _RENDERED else first_config([paths.below(place) for place in _RENDERED])
    return NodeConfig(
        desired=merge_configs(None if isinstance(rendered, Absent) else rendered, added),
        rendered_kernel_type=None if isinstance(own, Absent) else own.kernel_type,
    )


def first_config(files: list[Path]) -> MachineConfig | Absent:
    """The first file that is there and not empty: places differ by the kind of cluster, and one counts."""
    reasons = []
    for file in files:
        config = read_machine_config(file)
        if not isinstance(config, Absent):
            return config
        reasons.append(config.reason)
    return Absent("; ".join(reasons))


def is_config_name(name: str) -> bool:
    """Whether a file of this name in a directory of configs is one; hidden files are passed over."""
    return name.endswith(_SUFFIXES) and not name.startswith(".")


def configs_in(directory: Path) -> list[MachineConfig]:
    """The MachineConfigs of a directory, by file name; hidden files and other suffixes are not configs."""
    try:
        files = sorted(file for file in directory.iterdir() if is_config_name(file.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigInvalid(f"{directory}: cannot be read: {error.strerror}", "make it a readable directory") from error
    return [config for file in files if not isinstance(config := read_machine_config(file), Absent)]


def config_files(paths: HostPaths, settings: NodeConfigSettings) -> list[Path]:
    """Every file there is that may be a config of this node, whether or not it counts."""
    places = [paths.below(source) for source in settings.sources]
    added = [entry for directory in settings.directories for entry in _entries(paths.below(directory))]
    return [place for place in places if identity_of(place) != _ABSENT] + [
        file for file in added if is_config_name(file.name)
    ]


@dataclass(slots=True)
class ConfigSeen:
    """The config as it was when the files had this identity: megabytes are not parsed again for nothing."""

    identity: tuple[object, ...] = ()
    config: NodeConfig | None = None


def recall_node_config(paths: HostPaths, settings: NodeConfigSettings, seen: ConfigSeen) -> NodeConfig | Absent:
    """As ``read_node_config``, but files that have not changed since ``seen`` are not read again."""
    identity = _identity(paths, settings)
    if seen.config is not None and seen.identity == identity:
        return seen.config
    config = read_node_config(paths, settings)
    if not isinstance(config, Absent):
        seen.identity, seen.config = identity, config
    return config


def _identity(paths: HostPaths, settings: NodeConfigSettings) -> tuple[object, ...]:
    """What changes whenever a source does: it is taken before reading, so a write in between is seen next time."""
    places = [paths.below(place) for place in (*_RENDERED, *settings.sources, *settings.directories)]
    inner = [entry for directory in settings.directories for entry in _entries(paths.below(directory))]
    return (settings, *((place, identity_of(place)) for place in places + inner))


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:  # whoever reads it says what is wrong
        return []
