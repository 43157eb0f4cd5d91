"""Run by scenario.py in a process of its own: the application's quorum side."""

import time

from app import add

WAIT_S = 40

assert add.delay(2, 3).get(timeout=WAIT_S) == 5
before = time.monotonic()
assert add.apply_async((1, 1), countdown=3).get(timeout=WAIT_S) == 2
assert time.monotonic() - before >= 2
