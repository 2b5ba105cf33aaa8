"""One MachineConfig alone, as ``mcd-rt check`` reads it."""

from pathlib import Path

from mcd_rt.desired.machineconfig import Absent, parse_machine_config, read_machine_config
from mcd_rt.desired.merge import merge_configs
from mcd_rt.model.desired import Desired


def parse_alone(text: bytes, source: str) -> Desired:
    return merge_configs(None, [parse_machine_config(text, source)])


def read_alone(path: Path) -> Desired | Absent:
    config = read_machine_config(path)
    return config if isinstance(config, Absent) else merge_configs(None, [config])
