"""Of which state of the checkout packages are: a hash over all that goes into them."""

import hashlib
from pathlib import Path

_INPUTS = ("mcd_rt", "packaging", "systemd", "docs", "LICENSE", "README.md", "pyproject.toml")


def identity(top: Path) -> str:
    """Names and contents of every input below the checkout `top`, as hexadecimal SHA-256."""
    hashed = hashlib.sha256()
    for name in _INPUTS:
        for path in [top / name, *sorted((top / name).rglob("*"))]:
            if path.is_file() and "__pycache__" not in path.parts:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                hashed.update(f"{path.relative_to(top)} {path.stat().st_mode & 0o100} {content}\n".encode())
    return hashed.hexdigest()
