"""Whether a trust policy demands anything of an image: containers-policy.json(5). Pure.

Only the question is answered whether everything is accepted: what is demanded, skopeo judges.
"""

from collections.abc import Iterator

from mcd_rt.content import fields
from mcd_rt.content.fields import JsonObject
from mcd_rt.model.image import ImageReference

_ANYTHING = {"type": "insecureAcceptAnything"}


def accepts_anything(policy: bytes, reference: ImageReference) -> bool:
    """Whether a policy file demands nothing of an image in a registry; raises ``ValueError`` for no policy.

    The most specific scope of the transport ``docker`` counts, else its default (the empty scope), else the
    default of all. Wildcards (``*.example.com``) are not known to every version of skopeo, so they count only
    against the image.
    """
    document = fields.parse_object(policy)
    transports = fields.mapping(document, "transports") if "transports" in document else {}
    scopes = fields.mapping(transports, "docker") if "docker" in transports else {}
    for scope in _scopes(reference):
        if scope in scopes:
            return _is_anything(scopes, scope)
    wildcards = all(_is_anything(scopes, scope) for scope in _wildcards(reference) if scope in scopes)
    fallback = _is_anything(scopes, "") if "" in scopes else _is_anything(document, "default")
    return wildcards and fallback


def _scopes(reference: ImageReference) -> Iterator[str]:
    """The scopes an image is in, the narrowest first: itself, its repository, the namespaces, the host."""
    name = full_name(reference.place)
    yield f"{name}@{reference.digest}" if reference.digest else f"{name}:{reference.tag or 'latest'}"
    while name:
        yield name
        name = name.rpartition("/")[0]


def _wildcards(reference: ImageReference) -> Iterator[str]:
    host = full_name(reference.place).partition("/")[0].partition(":")[0]
    while "." in host:
        host = host.partition(".")[2]
        yield f"*.{host}"


def full_name(place: str) -> str:
    """A repository with its host, which is left out for that of docker.io."""
    first, slash, _ = place.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return place
    return f"docker.io/{place}" if slash else f"docker.io/library/{place}"


def _is_anything(scopes: JsonObject, scope: str) -> bool:
    requirements = fields.mappings(scopes, scope, most=1024)
    return bool(requirements) and all(requirement == _ANYTHING for requirement in requirements)
