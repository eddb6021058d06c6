"""What a wheel carries, and what ``make install`` puts where."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from sithctl.commands import manual

CARRIED = ("sithctl", "man", "completions", "pyproject.toml", "README.md", "LICENSE")
SECTIONS = {"1": "sithctl-fold.1", "5": "sithctl-files.5", "7": "sithctl-method.7"}
COMPLETIONS = (
    "bash-completion/completions/sithctl",
    "zsh/site-functions/_sithctl",
    "fish/vendor_completions.d/sithctl.fish",
)


def _run(*words: object, **variables: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "PYTHONPATH"))}
    result = subprocess.run(
        [str(word) for word in words],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a copy: setuptools would put into it what an older build left behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in CARRIED:
        source, copy = manual.ROOT / name, folder / "source" / name
        if source.is_dir():
            shutil.copytree(source, copy)
        else:
            shutil.copy(source, copy)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    _run(*pip, "--wheel-dir", folder, folder / "source")
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_carries_the_manual_and_completions(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shared = {name.split(".data/data/share/")[1] for name in names if ".data/data/share/" in name}
    pages = {f"man/man{p.suffix[1]}/{p.name}" for p in (manual.ROOT / "man").glob("*.[157]")}
    assert shared == pages | set(COMPLETIONS)
    assert not [name for name in names if name.startswith(("tests", "man/", "completions/"))]


def test_make_install_and_uninstall(wheel: Path, tmp_path: Path) -> None:
    """Into a packager's root that is then moved to where it belongs."""
    prefix, root = tmp_path / "usr with a space", tmp_path / "root"
    make = ("make", "--silent", "-C", manual.ROOT, f"PREFIX={prefix}", f"PYTHON={sys.executable}")
    libraries = "PIP=--no-deps --no-index"  # this environment's own serve below
    _run(*make, f"DESTDIR={root}", libraries, f"WHEEL={wheel}", "install")
    assert not prefix.exists()
    (root / prefix.relative_to("/")).rename(prefix)
    for section, page in SECTIONS.items():
        assert (prefix / "share" / "man" / f"man{section}" / page).is_file()
    for script in COMPLETIONS:
        assert (prefix / "share" / script).stat().st_mode & 0o777 == 0o644
    here = sysconfig.get_path("purelib")
    program = prefix / "bin" / "sithctl"
    assert _run(program, "--version", PYTHONPATH=here).startswith("sithctl ")
    if shutil.which("man"):
        assert "sithctl-method" in _run(
            "man", "-w", "sithctl-method", MANPATH=f"{prefix}/share/man"
        )
    _run(*make, "uninstall")
    assert not [path for path in prefix.rglob("*") if path.is_file()]
