"""The final account: what became of every order, in every service.

Three things are compared: what was ordered (known from the order's number),
what the services wrote into their journals, and what lies in the dead letters.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from find_dead_letter import deaths
from orders import Order

SERVICES = ("payment", "inventory", "notification", "analytics")


@dataclass
class Line:
    """One line of the account: what one service did with one kind of event.

    `expected` and `to_refuse` are message-ids; to_refuse is the part of the
    expected that the service cannot accept.
    """

    service: str
    kind: str
    expected: set[str]
    to_refuse: set[str]
    handled: Counter = field(default_factory=Counter)
    rejected: Counter = field(default_factory=Counter)
    dead: Counter = field(default_factory=Counter)
    redelivered: int = 0
    repeated: int = 0

    def settled(self) -> bool:
        """Whether the service, by its own word, has dealt with everything there is."""
        return self.expected <= self.handled.keys() | self.rejected.keys()

    def missing(self) -> set[str]:
        return self.expected - self.handled.keys() - self.dead.keys()

    def doubled(self) -> set[str]:
        """Done twice, both done and dead-lettered, or dead-lettered more often than rejected.

        An order that came again is rejected again, and then lies in the dead letters twice.
        """
        done_twice = {message_id for message_id, times in self.handled.items() if times > 1}
        return (
            done_twice | self.handled.keys() & self.dead.keys() | (self.dead - self.rejected).keys()
        )

    def misjudged(self) -> set[str]:
        """Dead-lettered without a reason, accepted in spite of one, or never ordered."""
        unknown = (self.handled.keys() | self.dead.keys()) - self.expected
        return unknown | (self.dead.keys() ^ self.to_refuse) - self.missing()

    def balances(self) -> bool:
        return not (self.missing() or self.doubled() or self.misjudged())


@dataclass
class Account:
    """The whole account of one run."""

    orders: list[Order]
    published: Counter
    confirmed: Counter
    payments: Counter
    lines: list[Line]

    def unconfirmed(self) -> list[str]:
        return [o.message_id for o in self.orders if self.confirmed[o.message_id] != 1]

    def line(self, service: str, kind: str) -> Line:
        return next(x for x in self.lines if (x.service, x.kind) == (service, kind))

    def balances(self) -> bool:
        return not self.unconfirmed() and all(line.balances() for line in self.lines)


def read_journal(folder: Path, service: str) -> list[dict]:
    path = folder / f"{service}.jsonl"
    # Without its end of line, a last line is still being written.
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def draw_up(orders: list[Order], folder: Path, dead_letters: list) -> Account:
    """The account of the run whose journals are in `folder`."""
    sent = read_journal(folder, "order-service")
    paid = {
        e["message_id"]: e for e in read_journal(folder, "payment") if e["outcome"] == "handled"
    }
    payments = {f"{entry['order_id']}/payment" for entry in paid.values()}
    lines = []
    for service in SERVICES:
        placed = {o.message_id for o in orders}
        refused = {o.message_id for o in orders if o.refused_by(service)}
        lines.append(Line(service, "order.placed", placed, refused))
        if service in ("notification", "analytics"):
            lines.append(Line(service, "payment.*", payments, set()))
    account = Account(
        orders,
        Counter(e["message_id"] for e in sent if e["outcome"] == "published"),
        Counter(e["message_id"] for e in sent if e["outcome"] == "confirmed"),
        Counter(entry["outcome_event"] for entry in paid.values()),
        lines,
    )
    for service in SERVICES:
        for entry in read_journal(folder, service):
            enter(account, service, entry)
    for properties, _ in dead_letters:
        for death in deaths(properties):
            service = death["queue"].removeprefix("shop.")
            account.line(service, "order.placed").dead[properties.message_id] += 1
    return account


def enter(account: Account, service: str, entry: dict) -> None:
    """Enter one line of a journal. To be rejected does not count yet as accounted for:
    what a service rejected has to be found in the dead letters.
    """
    kind = "payment.*" if entry["event"].startswith("payment.") else "order.placed"
    line = account.line(service, kind)
    line.redelivered += entry["redelivered"]
    if entry["outcome"] == "handled":
        line.handled[entry["message_id"]] += 1
    elif entry["outcome"] == "rejected":
        line.repeated += entry["message_id"] in line.rejected
        line.rejected[entry["message_id"]] += 1
    else:
        line.repeated += 1


def table(account: Account) -> str:
    """The account as it is printed."""
    published = account.published.total()
    spoiled = sum(order.spoil is not None for order in account.orders)
    rows = [
        f"{len(account.orders)} orders, {spoiled} of them spoiled",
        f"published {published}  confirmed {account.confirmed.total()}"
        f"  sent again {published - len(account.published)}",
        f"payments processed {account.payments['payment.processed']}"
        f"  failed {account.payments['payment.failed']}",
        "",
        f"{'service':13}{'event':13}{'expected':>9}{'handled':>9}{'dead':>6}{'missing':>9}"
        f"{'twice':>7}{'wrong':>7} |{'redelivered':>12}{'repeated':>9}",
    ]
    for line in account.lines:
        rows.append(
            f"{line.service:13}{line.kind:13}{len(line.expected):9}{len(line.handled):9}"
            f"{len(line.dead):6}{len(line.missing()):9}{len(line.doubled()):7}"
            f"{len(line.misjudged()):7} |{line.redelivered:12}{line.repeated:9}"
        )
    verdict = "The account balances." if account.balances() else "THE ACCOUNT DOES NOT BALANCE."
    return "\n".join([*rows, "", verdict])
