"""Harrier's workbench for dead letters, over HTTP.

Looks are free: nothing is taken out of the queue until it is sent back.
"""

import base64
import json
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from topology import DEAD_LETTERS

LOGIN = base64.b64encode(b"guest:guest").decode()


class Workbench:
    """The dead letters of the shop, as a broker's management API has them."""

    def __init__(self, address: str) -> None:
        self.api = f"http://{address}/api/harrier"
        self.messages = f"/queues/%2F/{quote(DEAD_LETTERS, safe='')}/messages"

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        request = Request(
            self.api + path,
            method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"authorization": f"Basic {LOGIN}"},
        )
        with urlopen(request, timeout=90) as answer:
            return json.load(answer)

    def summary(self) -> dict:
        return self.ask("GET", f"{self.messages}/summary")

    def find(self, order_id: str) -> list[dict]:
        """The dead letters of an order, which its correlation-id names."""
        return self.ask("GET", f"{self.messages}?{urlencode({'correlation_id': order_id})}")["items"]

    def replay(self, letter_id: str, order: dict) -> bool:
        """Sends a dead letter back to where it died, with the order as it should have been."""
        wanted = {"ids": [letter_id], "payload": json.dumps(order)}
        job = self.ask("POST", f"{self.messages}/replay", wanted)
        ended = self.ask("GET", f"/jobs/{job['id']}?wait=60")
        return (ended["status"], ended["done"]) == ("done", 1)
