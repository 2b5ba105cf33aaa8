"""Kernel packages as a vendor makes them: built by rpmbuild, signed by gpg through rpm."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

VERSION, RELEASE = "5.14.0", "284.30.1.rt14.315.el9_2"
KERNEL_RELEASE = f"{VERSION}-{RELEASE}.x86_64+rt"
PACKAGES = ("core", "modules-core", "modules", "modules-extra", "kvm")

_SPEC = """\
%define _build_id_links none
%define debug_package %{nil}
%define __os_install_post %{nil}
%define _binary_payload w1.gzdio
Name: kernel-rt
Version: VERSION
Release: RELEASE
Summary: a kernel that does not boot
License: GPLv2
ExclusiveArch: x86_64
%define kver %{version}-%{release}.x86_64+rt
%description
For tests.
SUBPACKAGES
%install
"""

_SUBPACKAGE = """\
%package {name}
Summary: {name}
Provides: kernel-rt-{name}-uname-r = %{{kver}}
{relations}
%description {name}
For tests.
%files {name}
{path}
"""

_REQUIRES = {
    "core": ("modules-core",),
    "modules-core": (),
    "modules": ("modules-core",),
    "modules-extra": ("modules", "modules-core"),
    "kvm": (),
}


@dataclass(frozen=True)
class Signer:
    """A key of gpg without a passphrase: its home, and what it is called."""

    home: Path
    name: str = "tests@registry.example"

    @property
    def public(self) -> Path:
        return self.home / "public.asc"


def make_signer(home: Path) -> Signer:
    """Make a key, as vendors have them: RSA."""
    home.mkdir(mode=0o700, parents=True)
    signer = Signer(home)
    gpg(signer, "--passphrase", "", "--pinentry-mode", "loopback", "--quick-gen-key", signer.name, "rsa3072", "sign")
    gpg(signer, "--armor", "--output", str(signer.public), "--export")
    return signer


def gpg(signer: Signer, *arguments: str) -> None:
    subprocess.run(
        ["gpg", "--batch", "--quiet", "--homedir", str(signer.home), *arguments], check=True, capture_output=True
    )


def end_agent(signer: Signer) -> None:
    """gpg leaves one running."""
    subprocess.run(["gpgconf", "--homedir", str(signer.home), "--kill", "all"], check=True, capture_output=True)


def build_rpms(place: Path, sizes: dict[str, int]) -> list[Path]:
    """Build the packages, with files of these sizes in bytes (of nothing that can be packed); unsigned."""
    place.mkdir(parents=True)
    spec = place / "kernel-rt.spec"
    spec.write_text(_spec(sizes))
    order = ["rpmbuild", "-bb", "--quiet", "-D", f"_topdir {place}", "-D", f"_rpmdir {place}", str(spec)]
    subprocess.run(order, check=True, capture_output=True, env=os.environ | {"LC_ALL": "C"})
    return sorted(place.glob("x86_64/*.rpm"))


def sign_rpms(rpms: list[Path], signer: Signer) -> None:
    """Sign them where they are."""
    order = ["rpm", "-D", f"_gpg_name {signer.name}", "-D", "__gpg /usr/bin/gpg", "-D", f"_gpg_path {signer.home}"]
    environment = os.environ | {"GNUPGHOME": str(signer.home)}
    subprocess.run([*order, "--addsign", *map(str, rpms)], check=True, capture_output=True, env=environment)


def _spec(sizes: dict[str, int]) -> str:
    parts, install = [], []
    for name in PACKAGES:
        relations = [f"Requires: kernel-rt-{part}-uname-r = %{{kver}}" for part in _REQUIRES[name]]
        relations += (
            ["Provides: kernel-uname-r = %{kver}"] if name == "core" else ["Requires: kernel-uname-r = %{kver}"]
        )
        path = f"/lib/modules/%{{kver}}/{'vmlinuz' if name == 'core' else f'kernel/{name}.ko'}"
        parts.append(_SUBPACKAGE.format(name=name, relations="\n".join(relations), path=path))
        install.append(f"mkdir -p %{{buildroot}}{path.rpartition('/')[0]}")
        install.append(f"head -c {sizes.get(name, 1000)} /dev/urandom > %{{buildroot}}{path}")
    spec = _SPEC.replace("VERSION", VERSION).replace("RELEASE", RELEASE).replace("SUBPACKAGES", "\n".join(parts))
    return spec + "\n".join(install) + "\n"
