"""What the distributions say of themselves."""

from __future__ import annotations

import configparser
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def metadata(folder: str) -> configparser.ConfigParser:
    """Read the setup.cfg of a distribution."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / folder / "setup.cfg")
    return parser
