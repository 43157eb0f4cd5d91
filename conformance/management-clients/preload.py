"""The modules that are preloaded into clients, compiled from the C beside this file."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def built(name: str) -> str:
    """The path of the module made from NAME.c."""
    source = HERE / f"{name}.c"
    library = Path(os.environ["WORK"]) / f"{name}.so"
    if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
        partly = library.with_suffix(".new")
        command = ["cc", "-O1", "-shared", "-fPIC", "-o", partly, source, "-ldl"]
        subprocess.run(command, check=True, stdout=sys.stderr)
        partly.rename(library)
    return str(library)
