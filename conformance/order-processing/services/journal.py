"""A service's journal: one JSON line for what it did with each delivery.

The broker delivers every message at least once: what was delivered but not
acknowledged when a connection broke comes again. The journal turns that into
exactly once. It is written before the acknowledgement, so after a crash the
service finds the message-id here and does not do the work a second time.
"""

import json
import os
from pathlib import Path


class Journal:
    """Appends to the file that the environment variable JOURNAL names."""

    def __init__(self, service: str) -> None:
        path = Path(os.environ.get("JOURNAL", f"{service}.jsonl"))
        self._handled = set()
        if path.exists():
            entries = map(json.loads, path.read_text().splitlines())
            self._handled = {e["message_id"] for e in entries if e["outcome"] == "handled"}
        # Line buffered: a line reaches the system in one piece or not at all.
        self._file = path.open("a", buffering=1)

    def has_handled(self, message_id: str) -> bool:
        return message_id in self._handled

    def record(self, outcome: str, message_id: str, **details) -> None:
        """`outcome` is handled, repeated or rejected (the order service has its own)."""
        line = {"outcome": outcome, "message_id": message_id, **details}
        self._file.write(json.dumps(line) + "\n")
        if outcome == "handled":
            self._handled.add(message_id)
