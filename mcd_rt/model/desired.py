"""What the node config asks for."""

from dataclasses import field

from mcd_rt.frozen import frozen
from mcd_rt.model.kernel import KernelType


@frozen
class MachineConfig:
    """One MachineConfig, reduced to what concerns the kernel.

    ``source`` is the file it stands in, ``role`` the value of its role label. ``kernel_type`` is ``None``
    where it says nothing of it, ``fips`` likewise; ``os_image`` and ``extensions_image`` are ``osImageURL`` and
    ``baseOSExtensionsContainerImage`` as written, empty where it has none. ``kernel_arguments`` are single arguments.
    """

    source: str
    name: str
    role: str
    kernel_type: KernelType | None
    os_image: str
    extensions_image: str
    extensions: tuple[str, ...]
    kernel_arguments: tuple[str, ...]
    fips: bool | None


@frozen
class Desired:
    """What a node's MachineConfigs ask for together.

    ``name`` is that of the config which decides the kernel type; ``os_image`` is ``osImageURL`` as written,
    empty where no config has one, ``extensions_image`` the image that has the kernel packages where the OS image has
    not (``baseOSExtensionsContainerImage``). ``added_arguments`` are the ones of ``kernel_arguments`` that no rendered
    config asks for. ``fips`` is ``None`` where no config says anything of it. ``source`` is the file of that config,
    which is no part of what is asked for.
    """

    name: str
    kernel_type: KernelType
    os_image: str
    kernel_arguments: tuple[str, ...]
    fips: bool | None
    extensions_image: str = ""
    added_arguments: tuple[str, ...] = ()
    source: str = field(default="", compare=False)
