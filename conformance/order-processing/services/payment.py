"""Payment, with pika: charges each order and tells the shop how it went.

The order is acknowledged last, after the broker has confirmed the payment
event: whatever breaks in between, the order comes again and nothing is lost.
"""

import json
import os
import time

import pika
from pika.exceptions import AMQPError

from journal import Journal

QUEUE = "shop.payment"
CURRENCIES = {"EUR", "USD", "GBP"}
CARD_LIMIT_CENTS = 9_000


def main() -> None:
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
    journal = Journal("payment")
    while True:
        try:
            with pika.BlockingConnection(pika.URLParameters(url)) as connection:
                consume(connection.channel(), journal)
        except AMQPError as error:
            print(f"trying again after {error!r}", flush=True)
            time.sleep(0.2)


def consume(channel, journal: Journal) -> None:
    """Handle orders until the connection breaks."""
    channel.basic_qos(prefetch_count=20)
    channel.confirm_delivery()
    for delivery, properties, body in channel.consume(QUEUE):
        settle(channel, journal, delivery, properties, body)


def settle(channel, journal: Journal, delivery, properties, body: bytes) -> None:
    """Acknowledge one order, done now or before, or reject it for good."""
    entry = {
        "message_id": properties.message_id,
        "order_id": properties.correlation_id,
        "event": delivery.routing_key,
        "redelivered": delivery.redelivered,
    }
    if journal.has_handled(properties.message_id):
        journal.record("repeated", **entry)
        channel.basic_ack(delivery.delivery_tag)
        return
    try:
        outcome = charge(body)
    except (KeyError, TypeError, ValueError) as reason:
        # requeue=False sends it to the queue's dead-letter exchange.
        journal.record("rejected", **entry, reason=repr(reason))
        channel.basic_reject(delivery.delivery_tag, requeue=False)
        return
    announce(channel, outcome, properties.correlation_id)
    journal.record("handled", **entry, outcome_event=outcome)
    channel.basic_ack(delivery.delivery_tag)


def charge(body: bytes) -> str:
    """The event that follows from the order. Raises if it cannot be read or charged."""
    order = json.loads(body)
    if order["currency"] not in CURRENCIES:
        raise ValueError(f"cannot charge in {order['currency']!r}")
    declined = order["amount_cents"] > CARD_LIMIT_CENTS
    return "payment.failed" if declined else "payment.processed"


def announce(channel, event: str, order_id: str) -> None:
    """Publish the payment event; returns once the broker has confirmed it.

    The message-id follows from the order, so that an event announced again
    after a crash is recognised as the same one.
    """
    channel.basic_publish(
        exchange="shop",
        routing_key=event,
        body=json.dumps({"order_id": order_id, "payment": event.split(".")[1]}),
        properties=pika.BasicProperties(
            content_type="application/json",
            delivery_mode=pika.DeliveryMode.Persistent,
            correlation_id=order_id,
            message_id=f"{order_id}/payment",
        ),
        mandatory=True,
    )


if __name__ == "__main__":
    main()
