"""pytest plugin: one line a case on the descriptor that CASE_LINES_FD names.

CASE_PREFIX, if given, is cut off the front of each case's name.

CASE_LEFT_OUT, if given, is a file of cases that are left out, since they fail
whatever the broker; it says why. `*` stands for any text.
"""

import os
import re
from pathlib import Path

import pytest

FD = int(os.environ["CASE_LINES_FD"])
PREFIX = os.environ.get("CASE_PREFIX", "")
REASON_LENGTH_MAX = 160


def entries_of(variable):
    """The lines of the file that an environment variable names, as lists of words."""
    path = os.environ.get(variable)
    lines = Path(path).read_text().splitlines() if path else []
    return [line.split() for line in lines if line and not line.startswith("#")]


LEFT_OUT = [".*".join(map(re.escape, case.split("*"))) for (case,) in entries_of("CASE_LEFT_OUT")]
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


def pytest_collection_modifyitems(items):
    reason = f"left out, see {Path(os.environ.get('CASE_LEFT_OUT', '')).name}"
    for item in items:
        if any(re.fullmatch(case, case_name(item.nodeid)) for case in LEFT_OUT):
            item.add_marker(pytest.mark.skip(reason=reason))
