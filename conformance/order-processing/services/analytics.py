"""Analytics, with aio-pika: counts everything that happens in the shop.

connect_robust reconnects by itself and consumes again where it left off.
"""

import asyncio
import json
import os

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from journal import Journal

QUEUE = "shop.analytics"
journal = Journal("analytics")


async def main() -> None:
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
    connection = await aio_pika.connect_robust(url, reconnect_interval=0.2)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=20)
    queue = await channel.get_queue(QUEUE)
    await queue.consume(settle)
    await asyncio.Future()  # until it is stopped


async def settle(message: AbstractIncomingMessage) -> None:
    """Acknowledge one event, counted now or before, or reject it for good."""
    entry = {
        "message_id": message.message_id,
        "order_id": message.correlation_id,
        "event": message.routing_key,
        "redelivered": message.redelivered,
    }
    if journal.has_handled(message.message_id):
        journal.record("repeated", **entry)
        await message.ack()
        return
    try:
        amount_cents = turnover(message.body)
    except (AttributeError, ValueError) as reason:
        # requeue=False sends it to the queue's dead-letter exchange.
        journal.record("rejected", **entry, reason=repr(reason))
        await message.reject(requeue=False)
        return
    journal.record("handled", **entry, amount_cents=amount_cents)
    await message.ack()


def turnover(body: bytes) -> int:
    """What the event adds to the turnover, in cents. Raises if it cannot be read."""
    return json.loads(body).get("amount_cents", 0)


if __name__ == "__main__":
    asyncio.run(main())
