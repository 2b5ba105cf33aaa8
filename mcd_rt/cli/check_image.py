"""``mcd-rt check-image``: whether an image can give nodes another kernel."""

import argparse
import asyncio
import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mcd_rt.cli.context import host_paths
from mcd_rt.content.fetch import Fetched, fetch_image
from mcd_rt.effects import HostEffects
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.content import Package
from mcd_rt.model.image import ImageReference
from mcd_rt.model.kernel import FLAVORS, Flavor, KernelType
from mcd_rt.plan.packages import expected_kernel_release, select_packages
from mcd_rt.settings import load_settings

_DESCRIPTION = """\
Say whether an image can give nodes another kernel: it is read as the agent would read it, with the settings,
credentials and keys of this host, its packages are fetched to a temporary place and checked (digests, signatures,
architecture, a whole and consistent set), and thrown away. Nothing else is changed, no service is asked.

REF is registry/repository[:tag][@sha256:...] or oci:/path[:tag][@sha256:...]. Nodes want a digest; a tag is taken
here for what it means now, and the digest is printed.
"""

_EPILOG = """\
With --json one object is printed, with the keys
  image, digest, usable, code, message, hint, kernel_type, kernel_release, architecture, version, commit,
  packages [{nevra, size, sha256}], trusted_by, way, way_reason
where code, message and hint are null for an image that can be used, and what is not known is null or empty.
architecture, version and commit are those of the OS the image says it belongs to (its config and the labels
`version` and `com.coreos.ostree-commit`). trusted_by is who judged the signatures: rpmkeys, rpm-rs, or nobody.

exit codes:
  0   the image can be used
  1   it cannot; code and message say why
  64  the command line was not understood
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found out about an image; ``outcome`` is the packages of the kernel, or why there is none."""

    image: str
    flavor: Flavor
    fetched: Fetched | None
    outcome: tuple[Package, ...] | Failure


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
    settings = load_settings(host_paths()).content
    names = tuple(f"{flavor.prefix}-{suffix}" for suffix in flavor.required + flavor.optional)

    async def fetch(place: Path) -> Fetched:
        return await fetch_image(
            HostEffects(),
            settings,
            HostPaths(place),
            _parsed(arguments.image),
            names,
            _show_progress,
            host=host_paths(),
            architecture=arguments.architecture,
        )

    with TemporaryDirectory(prefix="mcd-rt-check-image-") as place:
        try:
            fetched = asyncio.run(fetch(Path(place)))
        except AgentError as error:
            verdict = Verdict(arguments.image, flavor, None, error.failure)
        else:
            outcome = select_packages(fetched.content, flavor, arguments.architecture)
            verdict = Verdict(arguments.image, flavor, fetched, outcome)
    print(_as_json(verdict) if arguments.json else _as_text(verdict))
    return 1 if isinstance(verdict.outcome, Failure) else 0


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
            lines[0] += f"ok: it has the {verdict.flavor.kernel_type} kernel {expected_kernel_release(packages)}"
            lines += [f"  package       {package.nevra} ({package.size} bytes)" for package in packages]
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
