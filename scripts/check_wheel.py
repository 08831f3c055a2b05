"""Check the built wheel: what is in it, and that Airflow finds the provider where only the wheel is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).parent / "uv"
WANTED = {
    "airflow_ml_provider/py.typed",
    "airflow_ml_provider/waiters/machinelearning.json",
    "airflow_ml_provider/get_provider_info.py",
    "local/amazon_ml_local/__main__.py",
}
UNWANTED = ("tests/", "dags/", "benchmarks/", "scripts/")


def check_contents(wheel: Path) -> None:
    """Check that data files are in the wheel, and nothing but the package is."""
    names = set(zipfile.ZipFile(wheel).namelist())
    missing = WANTED - names
    stray = sorted(name for name in names if name.startswith(UNWANTED) or name.endswith(".pyc"))
    if missing or stray:
        raise SystemExit(f"{wheel.name}: missing {sorted(missing)}, stray {stray}")


def check_installed(wheel: Path, folder: Path) -> None:
    """Install the wheel in an environment of its own, and ask Airflow for the provider."""
    environment = folder / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    install = [UV, "pip", "install", "--quiet", "--constraint", ROOT / "requirements" / "airflow-3.3.txt", wheel]
    subprocess.run(install, check=True, env=os.environ | {"VIRTUAL_ENV": str(environment)})
    airflow = {"PATH": f"{environment / 'bin'}:{os.environ['PATH']}", "AIRFLOW_HOME": str(folder / "airflow")}
    found = subprocess.run(
        [environment / "bin" / "airflow", "providers", "get", "airflow-ml-provider", "--output", "json"],
        check=True,
        env=airflow,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if "airflow-ml-provider" not in found.stdout:
        raise SystemExit(f"airflow providers get does not know the provider: {found.stdout} {found.stderr}")


def main() -> None:
    """Check the one wheel in dist/."""
    (wheel,) = (ROOT / "dist").glob("*.whl")
    check_contents(wheel)
    with tempfile.TemporaryDirectory() as folder:
        check_installed(wheel, Path(folder))
    print(f"{wheel.name}: installs, is found by Airflow, holds what it should")


if __name__ == "__main__":
    main()
