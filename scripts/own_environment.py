"""Imported first by a script: with a Python that lacks our packages it begins again with that of .venv."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

PYTHON = Path(__file__).resolve().parents[1] / ".venv/bin/python"

if find_spec("alphapanda") is None or find_spec("msgspec") is None:
    if not PYTHON.exists():
        sys.exit("this needs the project's environment: run scripts/setup --test first")
    os.execv(PYTHON, [str(PYTHON), *sys.argv])  # noqa: S606 - the same script, with the same words
