"""Check the built wheels: what is in them, where they install, and that Airflow's official pins stay as they are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.environments import CONSTRAINTS, REQUIREMENTS, ROOT, Environment, read_environments

BIN = Path(sys.executable).parent
DIST = ROOT / "dist"
ENVIRONMENTS = read_environments()
CONTENTS = {
    "airflow_ml_provider": (
        "py.typed",
        "waiters/machinelearning.json",
        "get_provider_info.py",
        "plugin/static/index.html",
        "report/page.css",
        "report/page.html",
    ),
    "amazon_ml_local": ("py.typed", "__main__.py", "pytest_plugin.py", "serving/pages/page.css"),
}
FIXTURE_TEST = """
import importlib.util, os, boto3

def test_the_service_runs_where_no_airflow_is(amazon_ml_local):
    assert importlib.util.find_spec("airflow") is None
    assert os.environ["AWS_ENDPOINT_URL"] == amazon_ml_local.url
    assert boto3.client("machinelearning").describe_ml_models()["Results"] == []
    boto3.client("s3").create_bucket(Bucket="bucket")
"""


def wheel(package: str) -> Path:
    """Return the one wheel of a package in dist/."""
    (found,) = DIST.glob(f"{package}-*.whl")
    return found


def check_contents(package: str) -> None:
    """Check that a wheel holds its package with data files, and nothing else."""
    names = zipfile.ZipFile(wheel(package)).namelist()
    missing = {f"{package}/{name}" for name in CONTENTS[package]} - set(names)
    metadata = f"{wheel(package).name.removesuffix('-py3-none-any.whl')}.dist-info/"
    stray = sorted(name for name in names if not name.startswith((f"{package}/", metadata)) or name.endswith(".pyc"))
    if missing or stray:
        raise SystemExit(f"{wheel(package).name}: missing {sorted(missing)}, stray {stray}")


def resolve(environment: Environment, wanted: str) -> set[str]:
    """Resolve requirements with our wheels under an environment's official constraints: no pin may have to change.

    :raises SystemExit: with what the resolver says
    """
    command: list[str | Path] = [
        BIN / "uv",
        "pip",
        "compile",
        "--quiet",
        "--no-annotate",
        "--no-header",
        "--find-links",
        DIST,
        "-",
    ]
    command += ["--python-version", environment.python, "--constraint", CONSTRAINTS / f"{environment.lock}.txt"]
    resolved = subprocess.run(command, input=wanted, capture_output=True, text=True, check=False)
    if resolved.returncode:
        raise SystemExit(f"Under the constraints of {environment.lock}, pins would change:\n{resolved.stderr}")
    return {line for line in resolved.stdout.splitlines() if not line.startswith("-")}


def check_pins(environment: Environment) -> None:
    """Check that the provider adds itself alone to Airflow with its amazon provider, and that its extras fit too."""
    airflow = f"apache-airflow=={environment.lock}\napache-airflow-providers-amazon\nboto3\n"
    ours = f"airflow-ml-provider @ {wheel('airflow_ml_provider').as_uri()}"
    added = resolve(environment, airflow + ours) - resolve(environment, airflow)
    if added != {ours}:
        raise SystemExit(f"On Airflow {environment.lock} the provider brings more than itself: {sorted(added)}")
    pages = f"\namazon-ml-local[pages] @ {wheel('amazon_ml_local').as_uri()}"
    resolve(environment, airflow + ours.replace(" @", "[local,report] @") + pages)
    print(f"resolves under the constraints of {environment.lock}, with its extras too", flush=True)


def check_page(environments: dict[str, Environment]) -> None:
    """Resolve the requirements of docs/installing.md for the Airflow that the page names, with our folder for MWAA's.

    ``--no-index`` is left out: check_pins knows that there is nothing to fetch beside the wheel.
    """
    text = (ROOT / "docs" / "installing.md").read_text()
    (lock,) = set(re.findall(r"constraints-([\d.]+)/", text))
    for snippet in re.findall(r"```requirements\n(.*?)```", text, re.DOTALL):
        kept = textwrap.dedent(re.sub(r" *--(no-index|constraint).*\n", "", snippet))
        wanted = f"apache-airflow=={lock}\n{kept}".replace("/usr/local/airflow/plugins", str(DIST))
        resolve(environments[lock], wanted)
    print("the requirements of docs/installing.md resolve", flush=True)


def install(folder: Path, *arguments: str | Path) -> Path:
    """Make an environment of its own with what uv's arguments name, and return its folder of commands."""
    subprocess.run([BIN / "uv", "venv", "--quiet", "--python", sys.executable, folder], check=True)
    command: list[str | Path] = [BIN / "uv", "pip", "install", "--quiet", "--find-links", DIST, *arguments]
    subprocess.run(command, check=True, env=os.environ | {"VIRTUAL_ENV": str(folder)})
    return folder / "bin"


def check_provider(folder: Path) -> None:
    """Install the provider's wheel, and ask Airflow for the provider."""
    lock = REQUIREMENTS / f"{ENVIRONMENTS[0].lock}.txt"
    commands = install(folder / "venv", "--constraint", lock, wheel("airflow_ml_provider"))
    airflow = {"PATH": f"{commands}:{os.environ['PATH']}", "AIRFLOW_HOME": str(folder / "airflow")}
    command: list[str | Path] = [commands / "airflow", "providers", "get", "airflow-ml-provider", "--output", "json"]
    found = subprocess.run(command, check=True, env=airflow, cwd=folder, capture_output=True, text=True)
    if "airflow-ml-provider" not in found.stdout:
        raise SystemExit(f"airflow providers get does not know the provider: {found.stdout} {found.stderr}")
    if (folder / "venv" / "bin" / "amazon-ml-local").exists():
        raise SystemExit("The provider brings Amazon ML Local without being asked to")


def check_local(folder: Path) -> None:
    """Install Amazon ML Local where no Airflow is: its command answers, and pytest has its fixture."""
    commands = install(folder, f"amazon-ml-local[s3] @ {wheel('amazon_ml_local').as_uri()}", "pytest")
    subprocess.run([commands / "amazon-ml-local", "--help"], check=True, cwd=folder, capture_output=True)
    test = folder / "test_fixture.py"
    test.write_text(FIXTURE_TEST)
    subprocess.run([commands / "python", "-m", "pytest", "-q", test], check=True, cwd=folder)


def check_testing(folder: Path) -> None:
    """Run the project of docs/testing as somebody else's: with the wheels, and nothing of this repository."""
    lock = REQUIREMENTS / f"{ENVIRONMENTS[0].lock}.txt"
    ours = f"airflow-ml-provider[local,report] @ {wheel('airflow_ml_provider').as_uri()}"
    commands = install(folder / "venv", "--constraint", lock, ours, "pytest")
    shutil.copytree(ROOT / "docs" / "testing", folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "AWS_", "PYTHON"))}
    command: list[str | Path] = [commands / "python", "-m", "pytest", "-q", "tests"]
    subprocess.run(command, check=True, cwd=folder / "project", env=kept)


def main() -> None:
    """Check the wheels in dist/."""
    for package in CONTENTS:
        check_contents(package)
    constrained = {each.lock: each for each in ENVIRONMENTS if (CONSTRAINTS / f"{each.lock}.txt").exists()}
    with ThreadPoolExecutor() as pool:  # uv waits for the index most of the time
        list(pool.map(check_pins, constrained.values()))
    check_page(constrained)
    with tempfile.TemporaryDirectory() as folder:
        check_provider(Path(folder, "provider"))
        check_local(Path(folder, "local"))
        check_testing(Path(folder, "testing"))
    print("Both wheels install, hold what they should, and are found by Airflow and by pytest")


if __name__ == "__main__":
    main()
