"""``mcd-rt check-image``: whether an image can give nodes another kernel."""

import argparse
import asyncio
import json
import platform
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mcd_rt.cli.context import host_paths
from mcd_rt.content.fetch import Fetched, fetch_image
from mcd_rt.content.frames import Extent
from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Package
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import FLAVORS, Flavor, KernelType
from mcd_rt.model.nevra import Nevra
from mcd_rt.plan.packages import expected_kernel_release, select_packages
from mcd_rt.settings import load_settings

_DESCRIPTION = """\
Say whether an image can give nodes another kernel: it is read as the agent would read it, with the settings,
credentials and keys of this host, its packages are fetched to a temporary place and checked (digests, signatures,
architecture, a whole and consistent set), and thrown away. Nothing else is changed, no service is asked.

Unlike the agent, which stops at the layer that makes the kernel whole, this reads every layer, and tells of
packages of that kernel that lie in an older one: nodes do not get them.

REF is registry/repository[:tag][@sha256:...] or oci:/path[:tag][@sha256:...]. Nodes want a digest; a tag is taken
here for what it means now, and the digest is printed.
"""

_EPILOG = """\
With --json one object is printed, with the keys
  image, digest, usable, code, message, hint, problems, kernel_type, kernel_release, architecture, version, commit,
  packages [{nevra, size, sha256}], trusted_by, way, way_reason
where code, message and hint are null for an image that can be used, and what is not known is null or empty.
problems are sentences about an image that nodes would take, but not as it is meant.
architecture, version and commit are those of the OS the image says it belongs to (its config and the labels
`version` and `com.coreos.ostree-commit`). trusted_by is who judged the signatures: rpmkeys, rpm-rs, or nobody.

exit codes:
  0   the image can be used
  1   it cannot, code and message say why; or it can, and has problems
  64  the command line was not understood
"""


@frozen
class Verdict:
    """What was found out about an image; ``outcome`` is the packages of the kernel, or why there is none.

    ``problems`` are sentences about an image that nodes would take, but not as it is meant.
    """

    image: str
    flavor: Flavor
    fetched: Fetched | None
    outcome: tuple[Package, ...] | Failure
    problems: tuple[str, ...] = ()


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb with its help."""
    parser = verbs.add_parser(
        "check-image",
        help="say whether an image can give nodes another kernel",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = [flavor.kernel_type.value for flavor in FLAVORS]
    parser.add_argument("--kernel-type", choices=kinds, default=KernelType.REALTIME.value, help="default: realtime")
    parser.add_argument("--architecture", default=platform.machine(), help="as uname -m says it; default: this host's")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("image", metavar="REF", help="the image")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the image and print the verdict; returns the exit code. Raises ``AgentError`` (``settings-invalid``)."""
    flavor = next(flavor for flavor in FLAVORS if flavor.kernel_type == arguments.kernel_type)
    verdict = _judge(arguments, flavor)
    print(_as_json(verdict) if arguments.json else _as_text(verdict))
    return 1 if isinstance(verdict.outcome, Failure) or verdict.problems else 0


def _judge(arguments: argparse.Namespace, flavor: Flavor) -> Verdict:
    settings = load_settings(host_paths()).content

    async def fetch(place: Path) -> Fetched:
        return await fetch_image(
            HostEffects(),
            settings,
            HostPaths(place),
            _parsed(arguments.image),
            flavor.names,
            _show_progress,
            host=host_paths(),
            architecture=arguments.architecture,
            extent=Extent.ALL,
        )

    with TemporaryDirectory(prefix="mcd-rt-check-image-") as place:
        try:
            fetched = asyncio.run(fetch(Path(place)))
        except AgentError as error:
            return Verdict(arguments.image, flavor, None, error.failure)
    outcome = select_packages(fetched.content, flavor, arguments.architecture)
    problems = () if isinstance(outcome, Failure) else _problems(outcome, fetched.unread, flavor)
    return Verdict(arguments.image, flavor, fetched, outcome, problems)


def _problems(chosen: tuple[Package, ...], unread: tuple[Nevra, ...], flavor: Flavor) -> tuple[str, ...]:
    """What of this very kernel lies where a fetch does not look; other versions in older layers are history."""
    kernel = chosen[0].nevra
    names = {package.nevra.name for package in chosen}
    missed = {
        nevra
        for nevra in unread
        if flavor.owns(nevra.name) and nevra.name not in names and nevra == replace(kernel, name=nevra.name)
    }
    return tuple(
        f"{nevra} lies in an older layer than the rest of its kernel, where no node looks for it: "
        "build the image with all of them in one layer"
        for nevra in sorted(missed)
    )


def _parsed(image: str) -> ImageReference:
    try:
        return ImageReference.parse(image)
    except ValueError as error:
        raise AgentError(Code.IMAGE_UNREADABLE, str(error), "write it as registry/repository@sha256:...") from error


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r\033[K{done >> 20} of {total >> 20} MiB", end=end, file=sys.stderr, flush=True)


def _as_text(verdict: Verdict) -> str:
    lines = [f"{verdict.image}: "]
    match verdict.outcome:
        case Failure(code=code, message=message, hint=hint):
            lines[0] += f"{code}: {message}" + (f"\n  hint: {hint}" if hint else "")
        case packages:
            lines[0] += "a problem: " if verdict.problems else "ok: "
            lines[0] += f"it has the {verdict.flavor.kernel_type} kernel {expected_kernel_release(packages)}"
            lines += [f"  package       {package.nevra} ({package.size} bytes)" for package in packages]
            lines += [f"  problem       {problem}" for problem in verdict.problems]
    if verdict.fetched is not None:
        content, fetched = verdict.fetched.content, verdict.fetched
        known = [
            ("digest", content.digest),
            ("architecture", fetched.architecture),
            ("OS version", fetched.version or "not said"),
            ("OS commit", fetched.commit or "not said"),
            ("signatures", f"judged by {content.trusted_by}" if content.packages else "no package, no signature"),
            ("read by", f"{content.way}: {content.way_reason}"),
        ]
        lines += [f"  {key:<13} {value}" for key, value in known]
    return "\n".join(lines)


def _as_json(verdict: Verdict) -> str:
    packages = () if isinstance(verdict.outcome, Failure) else verdict.outcome
    failure = verdict.outcome if isinstance(verdict.outcome, Failure) else None
    fetched = verdict.fetched
    report: dict[str, object] = {
        "image": verdict.image,
        "digest": fetched.content.digest if fetched else None,
        "usable": failure is None,
        "code": failure.code if failure else None,
        "message": failure.message if failure else None,
        "hint": failure.hint if failure else None,
        "problems": list(verdict.problems),
        "kernel_type": verdict.flavor.kernel_type,
        "kernel_release": expected_kernel_release(packages) or None,
        "architecture": fetched.architecture if fetched else None,
        "version": fetched.version if fetched else None,
        "commit": fetched.commit if fetched else None,
        "packages": [{"nevra": str(p.nevra), "size": p.size, "sha256": p.sha256} for p in packages],
        "trusted_by": fetched.content.trusted_by if fetched else None,
        "way": fetched.content.way if fetched else None,
        "way_reason": fetched.content.way_reason if fetched else None,
    }
    return json.dumps(report)
