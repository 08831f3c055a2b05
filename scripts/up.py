"""Run Airflow (UI, scheduler, Dag processor, triggerer) beside Amazon ML Local, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
import time

from scripts.processes import BIN, ROOT, Processes, airflow_environment, check_port, only_one, start_local_service

HOME = ROOT / ".up"
# The log servers would listen on all interfaces; on one machine the logs are read as files.
COMPONENTS = {
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
ENDED = 0  # a signal is how it is meant to end
STARTING_SECONDS = 180


def main() -> None:
    """Start everything, say where it is, and end all of it on Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser("make up", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="of Airflow's UI (%(default)s)")
    parser.add_argument("--service-port", type=int, default=5012, help="of Amazon ML Local (%(default)s)")
    options = parser.parse_args()
    with only_one(HOME, "make up", ENDED), Processes(HOME / "logs") as processes:
        run(processes, options.port, options.service_port)


def run(processes: Processes, port: int, service_port: int) -> None:
    """Start the service, then Airflow, and watch over them."""
    check_port(port, "`make up PORT=8081`")
    check_port(service_port, "`make up SERVICE_PORT=5013`")
    url = start_local_service(
        processes, "--bucket", "amazon-ml-demo", "--data-dir", str(HOME / "amazon-ml-local"), port=service_port
    )
    print(f"Amazon ML Local: {url}", flush=True)
    env = airflow_environment(HOME / "airflow", url, port)
    processes.start("seed", sys.executable, str(ROOT / "scripts" / "seed.py"), env=env)
    print("Airflow: making its database …", flush=True)
    processes.run("database", str(BIN / "airflow"), "db", "migrate", env=env)
    print("Airflow: starting …", flush=True)
    for component, arguments in COMPONENTS.items():
        processes.start(component, str(BIN / "airflow"), component, *arguments, env=env)
    processes.finish("seed")
    processes.wait_for("api-server", f"http://127.0.0.1:{port}/api/v2/monitor/health", STARTING_SECONDS)
    print(f"Airflow: http://127.0.0.1:{port} (no login)\nLogs:    {processes.logs}\nCtrl-C ends all of it.", flush=True)
    watch(processes)


def watch(processes: Processes) -> None:
    """Stay until a process ends by itself, which is an error."""
    while True:
        for name, process in processes.running.items():
            if process.poll() is not None:
                raise SystemExit(f"{name} ended with code {process.returncode}:\n{processes.tail(name)}")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
