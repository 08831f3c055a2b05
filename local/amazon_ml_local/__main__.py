"""The command ``amazon-ml-local``."""

from __future__ import annotations

import argparse
import ctypes
import errno
import ipaddress
import logging
import re
import signal
import sys
import threading
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from amazon_ml_local.data_folder import DataFolder
from amazon_ml_local.schedule import REALISTIC, Durations
from amazon_ml_local.seeding import SeedError, read_seed
from amazon_ml_local.service import AmazonMLLocal
from amazon_ml_local.serving.application import Application, environment
from amazon_ml_local.serving.other_services import OtherServices
from amazon_ml_local.serving.server import Server
from amazon_ml_local.storage import BUCKET, OBJECT, S3Storage, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h
DEFAULT_PORT = 5012
HOST_NAME = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*", re.ASCII)
KEEP_REQUESTS = 1_000  # the latest ones, which GET /_local/requests returns


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve Amazon ML until SIGINT or SIGTERM; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.verbose:
        logging.basicConfig(format="%(asctime)s %(message)s")
        logging.getLogger("amazon_ml_local").setLevel(logging.INFO)
    if not _is_loopback(options.host):
        _print(f"warning: {options.host} lets others in, and this service checks no signature", sys.stderr)
    if not _is_unspecified(options.host):
        options.allowed_host.append(options.host)
    _return_freed_memory()
    try:
        _serve(options)
    except (OSError, SeedError, StorageError) as error:
        parser.exit(1, f"amazon-ml-local: error: {error}\n")
    except KeyboardInterrupt:  # SIGINT before it has its handler, while a seed is created
        return 130
    return 0


def _return_freed_memory() -> None:
    """Set glibc to return large objects to the system when they are freed; and few arenas, as each keeps small ones."""
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((M_ARENA_MAX, 2), (M_MMAP_THRESHOLD, 2**20), (M_TRIM_THRESHOLD, 2**20)):
            mallopt(parameter, value)


def _serve(options: argparse.Namespace) -> None:
    """Start the service with what the options name, print how to reach it, and end it on a signal."""
    folder = DataFolder(options.data_dir) if options.data_dir else None
    seed = read_seed(options.seed) if options.seed else None
    buckets, objects = list(options.bucket), {uri: _content(uri, file) for uri, file in options.load}
    if seed:
        buckets, objects = [*buckets, *seed.buckets], {**seed.files, **objects}  # --load wins over the seed
    other_services = OtherServices(options.s3_endpoint_url, buckets, objects, folder)
    service = AmazonMLLocal(
        S3Storage(other_services.s3_client),
        databases=dict(options.database),
        durations=REALISTIC if options.realistic else Durations(),
        keep_requests=KEEP_REQUESTS,
        data_folder=folder,
    )
    if seed:
        seed.create(service)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    application = Application(service, other_services, options.allowed_host)
    with _start_server(application, options.host, options.port) as server:
        _print(f"# Amazon ML Local {version('amazon-ml-local')}, until Ctrl-C")
        for name, value in environment(server.url, options.s3_endpoint_url).items():
            _print(f"export {name}={value}")
        stop.wait()
    service.close()
    if folder:
        folder.close()


def _start_server(application: Application, host: str, port: int) -> Server:
    """Return a server that listens; raise an OSError that says what to do if the port is taken."""
    try:
        return Server(application.handle, host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise OSError(f"{host} port {port} cannot be listened on: {error.strerror}") from error
        raise OSError(
            f"port {port} of {host} is taken: end what listens there, or choose another by --port (0 takes a free one)"
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("amazon-ml-local", description="Amazon Machine Learning on your own machine")
    parser.add_argument("--version", action="version", version=f"amazon-ml-local {version('amazon-ml-local')}")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="0 takes a free one (%(default)s)")
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        type=_host_name,
        metavar="NAME",
        help="let programs call it by this name or address, beside those of this machine itself; *.NAME: all below it",
    )
    parser.add_argument(
        "--bucket", action="append", default=[], type=_bucket, metavar="NAME", help="make this S3 bucket"
    )
    parser.add_argument(
        "--load", action="append", default=[], type=_object, metavar="s3://BUCKET/KEY=FILE", help="put a file into S3"
    )
    parser.add_argument(
        "--database",
        action="append",
        default=[],
        type=_database,
        metavar="NAME=URL",
        help="where a Redshift or RDS database of that name is, as an SQLAlchemy URL",
    )
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="keep everything in this folder, and go on with what is kept there"
    )
    parser.add_argument(
        "--seed",
        type=Path,
        metavar="FILE",
        help="make the buckets, files, data sources, models and endpoints that this YAML or JSON file lists",
    )
    parser.add_argument("--s3-endpoint-url", metavar="URL", help="use this S3 instead of moto's on the same port")
    parser.add_argument("--realistic", action="store_true", help="take minutes, as AWS does, not seconds")
    parser.add_argument("-v", "--verbose", action="store_true", help="print one line per request")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0..65535")
    return int(text)


def _host_name(text: str) -> str:
    if not HOST_NAME.fullmatch(text) and not _is_address(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no host name: give it without scheme, port and path")
    return text


def _bucket(text: str) -> str:
    if not BUCKET.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no bucket name: 3..63 of a-z, 0-9, . and -")
    return text


def _database(text: str) -> tuple[str, str]:
    name, _, url = text.partition("=")
    if not name or not url:
        raise argparse.ArgumentTypeError(f"{name!r} and an URL must be joined by =")
    return name, url


def _object(text: str) -> tuple[str, str]:
    uri, _, file = text.rpartition("=")  # the last one: S3 keys often hold others
    if not OBJECT.fullmatch(uri) or not file:
        raise argparse.ArgumentTypeError(f"{text!r} is not s3://BUCKET/KEY=FILE")
    return uri, file


def _content(uri: str, file: str) -> bytes:
    """Return the bytes of a file for an object of ``--load``."""
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise OSError(f"--load {uri}={file}: {error.strerror}: {file}") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_unspecified(host: str) -> bool:
    """Return whether a host means all addresses of this machine, as 0.0.0.0 does; no client calls it by that."""
    return not host or (_is_address(host) and ipaddress.ip_address(host).is_unspecified)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _print(line: str, stream: TextIO | None = None) -> None:
    print(line, file=stream or sys.stdout, flush=True)


if __name__ == "__main__":
    sys.exit(main())
