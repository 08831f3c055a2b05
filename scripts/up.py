"""Run Airflow (UI, scheduler, Dag processor, triggerer) beside Amazon ML Local, until Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import time
from types import FrameType

from processes import BIN, ROOT, Processes, airflow_environment, free_port, start_local_service

HOME = ROOT / ".up"
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
STARTING_SECONDS = 180


def main() -> None:
    """Start everything, say where it is, and end all of it on Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    with Processes(HOME / "logs") as processes:
        try:
            run(processes)
        except KeyboardInterrupt:
            print("\nStopping …", flush=True)
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def run(processes: Processes) -> None:
    """Start the service, then Airflow, and watch over them."""
    url = start_local_service(processes, "--bucket", "amazon-ml-demo")
    print(f"Amazon ML Local: {url}", flush=True)
    port = free_port()
    env = airflow_environment(HOME / "airflow", url, port)
    print("Airflow: preparing its database …", flush=True)
    subprocess.run([BIN / "airflow", "db", "migrate"], env=env, check=True, capture_output=True)
    for component in COMPONENTS:
        processes.start(component, str(BIN / "airflow"), component, env=env)
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


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
