"""What cases that run a command-line tool share: the broker's own answers, over HTTP and AMQP,
to hold the tool's against."""

import base64
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "transcripts"))

from session import Session  # noqa: E402

PORT = 15672
WAIT_S = 10
# What a case may run into when an answer isn't what it should be.
PROBLEMS = (OSError, LookupError, ValueError, TypeError, AttributeError, subprocess.SubprocessError)


class Failed(Exception):
    """A case that didn't go as it should."""


def api(path: str) -> object:
    token = base64.b64encode(b"guest:guest").decode()
    headers = {"authorization": f"Basic {token}"}
    request = urllib.request.Request(f"http://localhost:{PORT}/api{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
        return json.load(answer)


def equal(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Failed(f"{what}: {found!r}, expected {expected!r}")


def has_line(what: str, output: str, *words: str) -> None:
    if not any(all(word in line for word in words) for line in output.splitlines()):
        raise Failed(f"{what}: no line with {words} in {output!r}")


def connected(vhost: str) -> Session:
    """An AMQP session with one connection to the virtual host."""
    session = Session("amqp://guest:guest@localhost:5672/%2F")
    session.connect(vhost=vhost)
    return session


def hears_its_end(session: Session) -> None:
    closed = session.connections[0].await_arrived(0, WAIT_S)
    equal("what the client hears", closed and closed.name, "connection.close")
    session.close()


def connection_in(vhost: str) -> str:
    """Its name. RabbitMQ lists a connection some seconds after it was opened."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        for one in api("/connections"):
            if one.get("vhost") == vhost:
                return one["name"]
    raise Failed(f"no connection listed within {WAIT_S} s")


def run_case(name: str, run: Callable[[], None]) -> None:
    """Prints the case's line."""
    try:
        run()
    except (Failed, *PROBLEMS) as problem:
        said = " ".join(f"{type(problem).__name__}: {problem}".split())[:300]
        print(f"not ok {name} # {said}", flush=True)
    else:
        print(f"ok {name}", flush=True)
