"""pytest plugin: one line a case on the descriptor that CASE_LINES_FD names.

CASE_PREFIX, if given, is cut off the front of each case's name. CASE_RACES, if
given, is a file of tests that now and then lose a race within the client,
whatever the broker; only those are tried again.
"""

import os
from pathlib import Path

import pytest

FD = int(os.environ["CASE_LINES_FD"])
PREFIX = os.environ.get("CASE_PREFIX", "")
REASON_LENGTH_MAX = 160

# Such a test may lose one time in four; this makes it one in a thousand.
TRIES_MORE = 4

# Reports of the running case: setup, call, teardown.
reports = {}


def case_name(nodeid):
    return nodeid.removeprefix(PREFIX).replace(" ", "_")


def emit(status, nodeid, reason=""):
    line = f"{status} {case_name(nodeid)}"
    if reason:
        line += " # " + " ".join(reason.split())[:REASON_LENGTH_MAX]
    # Unbuffered: a forked child must not write a second copy.
    os.write(FD, (line + "\n").encode())


def reason_of(report):
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    message = crash.message if crash is not None else report.longreprtext
    return f"{report.when}: {message}"


def pytest_runtest_logreport(report):
    reports.setdefault(report.nodeid, []).append(report)


def pytest_runtest_logfinish(nodeid):
    seen = reports.pop(nodeid, [])
    failed = [report for report in seen if report.failed]
    skipped = [report for report in seen if report.skipped]
    if failed:
        emit("not ok", nodeid, reason_of(failed[0]))
    elif skipped:
        emit("skip", nodeid, reason_of(skipped[0]))
    else:
        emit("ok", nodeid)


def pytest_collectreport(report):
    if report.failed:
        emit("not ok", report.nodeid or "collection", f"collection: {report.longreprtext.splitlines()[-1]}")


def racing_tests():
    """The tests in CASE_RACES, named without parameters, one a line."""
    path = os.environ.get("CASE_RACES")
    lines = Path(path).read_text().splitlines() if path else []
    return {line.split()[0] for line in lines if line and not line.startswith("#")}


def pytest_collection_modifyitems(items):
    racing = racing_tests()
    for item in items:
        if case_name(item.nodeid).split("[")[0] in racing:
            item.add_marker(pytest.mark.flaky(reruns=TRIES_MORE))
