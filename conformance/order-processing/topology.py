"""The shop's exchanges, queues and bindings, declared once, before anything is sent.

Everything is durable: after the broker restarts it is all still there, so the
services only consume and publish and never declare.
"""

import os
import sys

import pika

SHOP = "shop"
DEAD_LETTERS = "shop.dead-letters"

# Each service has a queue of its own and picks its events by topic pattern.
BINDINGS = {
    "shop.payment": ["order.placed"],
    "shop.inventory": ["order.*"],
    "shop.notification": ["*.placed", "payment.*"],
    "shop.analytics": ["#"],
}


def connect() -> pika.BlockingConnection:
    """A connection to the broker that AMQP_URL names."""
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
    return pika.BlockingConnection(pika.URLParameters(url))


def declare(channel) -> None:
    """Declare the whole shop; harmless when it is already there."""
    channel.exchange_declare(DEAD_LETTERS, exchange_type="fanout", durable=True)
    channel.queue_declare(DEAD_LETTERS, durable=True)
    channel.queue_bind(DEAD_LETTERS, DEAD_LETTERS)

    channel.exchange_declare(SHOP, exchange_type="topic", durable=True)
    for queue, patterns in BINDINGS.items():
        # What a service rejects goes to the dead letters instead of being lost.
        channel.queue_declare(
            queue, durable=True, arguments={"x-dead-letter-exchange": DEAD_LETTERS}
        )
        for pattern in patterns:
            channel.queue_bind(queue, SHOP, routing_key=pattern)


def remove(channel) -> None:
    """Remove the whole shop with everything in its queues."""
    for queue in (*BINDINGS, DEAD_LETTERS):
        channel.queue_delete(queue)
    for exchange in (SHOP, DEAD_LETTERS):
        channel.exchange_delete(exchange)


def depths(channel) -> dict[str, int]:
    """How many messages are ready in each of the shop's queues."""
    return {
        queue: channel.queue_declare(queue, passive=True).method.message_count
        for queue in (*BINDINGS, DEAD_LETTERS)
    }


if __name__ == "__main__":
    with connect() as connection:
        channel = connection.channel()
        if "--remove" in sys.argv:
            remove(channel)
        else:
            declare(channel)
            for queue, count in depths(channel).items():
                print(f"{queue:20} {count:6} messages")
