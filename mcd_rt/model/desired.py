"""What the node config asks for."""

from dataclasses import dataclass

from mcd_rt.model.kernel import KernelType


@dataclass(frozen=True, slots=True)
class Desired:
    """One MachineConfig, reduced to what concerns the kernel.

    ``os_image`` is ``osImageURL`` as written, empty where the config has none.
    """

    name: str
    kernel_type: KernelType
    os_image: str
    kernel_arguments: tuple[str, ...]
    fips: bool
