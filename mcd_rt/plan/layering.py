"""What is layered on a deployment: which of it makes its kernel type, and which is somebody else's."""

from dataclasses import replace

from mcd_rt.model.deployment import Deployment
from mcd_rt.model.kernel import flavor_owning, is_base_kernel
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.plan import Shape


def kernel_packages(deployment: Deployment) -> tuple[Nevra, ...]:
    """The local packages of any flavor."""
    return tuple(nevra for nevra in deployment.local if flavor_owning(nevra.name) is not None)


def kernel_requests(deployment: Deployment) -> tuple[str, ...]:
    """The packages of any flavor that were requested from a repository, as other agents do."""
    return tuple(request for request in deployment.requested if flavor_owning(_name(request)) is not None)


def kernel_removals(deployment: Deployment) -> frozenset[str]:
    """The names of base kernel packages that are removed."""
    return frozenset(filter(is_base_kernel, deployment.removals))


def is_swapped(deployment: Deployment) -> bool:
    """Whether the deployment has another kernel than its base's."""
    return bool(kernel_packages(deployment) or kernel_requests(deployment)) or "kernel-core" in deployment.removals


def overridden_kernels(deployment: Deployment) -> tuple[str, ...]:
    """What an administrator put in the place of the base's kernel.

    Replacements of its packages; or its removal in favour of a kernel that no flavor knows, which must be
    there, because rpm-ostree assembles nothing without one (``reference/rpm-ostree-dbus.md`` 4).
    """
    replaced = tuple(text for text in deployment.replacements if is_base_kernel(_name(text)))
    if "kernel-core" in deployment.removals and not kernel_packages(deployment) and not kernel_requests(deployment):
        return (*replaced, "kernel-core (removed)")
    return replaced


def apart_from_kernel(deployment: Deployment) -> Shape:
    """The deployment without what makes its kernel type."""
    return Shape(
        base=deployment.base,
        local=tuple(nevra for nevra in deployment.local if flavor_owning(nevra.name) is None),
        requested=tuple(request for request in deployment.requested if flavor_owning(_name(request)) is None),
        removals=tuple(name for name in deployment.removals if not is_base_kernel(name)),
        replacements=deployment.replacements,
    )


def kernel_part(deployment: Deployment) -> tuple[object, ...]:
    """What makes a deployment's kernel type."""
    return kernel_packages(deployment), kernel_requests(deployment), kernel_removals(deployment)


def foreign_layers(deployment: Deployment) -> tuple[str, ...]:
    """What is somebody else's, for people to read."""
    rest = apart_from_kernel(deployment)
    removed = (f"{name} (removed)" for name in rest.removals)
    replaced = (f"{name} (replaced)" for name in rest.replacements)
    return (*map(str, rest.local), *rest.requested, *removed, *replaced)


def shape_of(deployment: Deployment) -> Shape:
    """Everything that must be as planned when a staged deployment is read back."""
    return Shape(
        base=deployment.base,
        local=deployment.local,
        requested=deployment.requested,
        removals=deployment.removals,
        replacements=deployment.replacements,
    )


def has_shape(deployment: Deployment, shape: Shape) -> bool:
    """Whether everything is as planned, the base by any of its names."""
    return deployment.stands_on(shape.base) and replace(shape_of(deployment), base=shape.base) == shape


def _name(text: str) -> str:
    """The name in a NEVRA, or the text itself: a request may be either."""
    try:
        return Nevra.parse(text).name
    except ValueError:
        return text
