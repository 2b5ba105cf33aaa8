"""Everything a plan is made from."""

from dataclasses import field

from mcd_rt.frozen import frozen
from mcd_rt.model.content import Content
from mcd_rt.model.deployment import Deployments
from mcd_rt.model.desired import Desired
from mcd_rt.model.host import Host
from mcd_rt.model.nevra import Nevra
from mcd_rt.model.osimage import OsImage
from mcd_rt.model.record import Record
from mcd_rt.model.settings import Settings


@frozen
class Base:
    """The kernel packages of a base commit."""

    checksum: str
    packages: tuple[Nevra, ...]


@frozen
class OsOffer:
    """The OS of the config's image; ``signed``: the host's policy demands something of images from there."""

    image: OsImage
    signed: bool


@frozen
class Neighbour:
    """An MCD beside which we manage the kernel; ``relieved``: somebody said so (``agent.manage`` is ``manage``)."""

    relieved: bool


@frozen
class Situation:
    """What is wanted and what is there; ``base``, ``content`` and ``offer`` are there once a plan asked for them."""

    desired: Desired
    host: Host
    deployments: Deployments
    record: Record
    settings: Settings = field(default_factory=Settings)
    neighbour: Neighbour | None = None
    base: Base | None = None
    content: Content | None = None
    offer: OsOffer | None = None
