"""Environments of what is measured beside this package, each made under ``build/`` on its first run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def python_with(name: str, *requirements: str) -> str:
    """Return the Python of an environment that holds some packages; it is made anew when these have changed."""
    folder = ROOT / "build" / f"benchmark-{name}"
    python, made = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "".join(f"{requirement}\n" for requirement in requirements)
    if not made.exists() or made.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        install = [str(python), "-m", "uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
        subprocess.run([*install, *requirements], check=True)
        made.write_text(wanted)
    return str(python)
