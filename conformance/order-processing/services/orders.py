"""The orders of the day: what is bought, and which one in fifty is spoiled, and how.

Everything is derived from the order's number, so the order service that
publishes them and the account that checks them agree without talking.
"""

import json
from dataclasses import dataclass

SPOILED_EVERY = 50
CUSTOMERS = ("Ada", "Grace", "Barbara", "Edsger", "Leslie", "Tony")
GOODS = ("tea-assam", "tea-sencha", "kettle", "cup", "strainer")

# How an order is spoiled, and which services cannot accept it then. The others
# can do their part: that a customer has no address is no concern of the till.
SPOILS = {
    "cut off in the middle": {"payment", "inventory", "notification", "analytics"},
    "currency nobody takes": {"payment"},
    "quantity below one": {"inventory"},
    "e-mail without an @": {"notification"},
}


@dataclass(frozen=True)
class Order:
    """One order: `order_id` travels as correlation-id, `message_id` names the event."""

    order_id: str
    message_id: str
    spoil: str | None
    body: bytes

    def refused_by(self, service: str) -> bool:
        """Whether `service` has to reject this order."""
        return self.spoil is not None and service in SPOILS[self.spoil]


def order(number: int) -> Order:
    """Order `number`, counted from 1; the same number always gives the same order."""
    content = sound(number)
    order_id = content["order_id"]
    spoil = spoil_of(number)
    if spoil == "currency nobody takes":
        content["currency"] = "shells"
    elif spoil == "quantity below one":
        content["items"][0]["quantity"] = -1
    elif spoil == "e-mail without an @":
        content["email"] = content["customer"].lower()
    body = json.dumps(content).encode()
    if spoil == "cut off in the middle":
        body = body[: len(body) // 2]
    return Order(order_id, f"{order_id}/placed", spoil, body)


def sound(number: int) -> dict:
    """What order `number` says as long as nobody spoils it."""
    customer = CUSTOMERS[number % len(CUSTOMERS)]
    return {
        "order_id": f"order-{number:06}",
        "customer": customer,
        "email": f"{customer.lower()}@example.com",
        "items": [{"sku": GOODS[number % len(GOODS)], "quantity": 1 + number % 3}],
        "amount_cents": 500 + number * 37 % 9_500,
        "currency": "EUR",
    }


def spoil_of(number: int) -> str | None:
    """The way order `number` is spoiled, each way in turn, or None if it is sound."""
    if number % SPOILED_EVERY:
        return None
    return list(SPOILS)[number // SPOILED_EVERY % len(SPOILS)]
