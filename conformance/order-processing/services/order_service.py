"""The order service, with aio-pika: places ORDERS orders and rests only when each is confirmed.

Orders go out fifty at a time without waiting for one another's confirm. When
the connection breaks, those not confirmed are sent again, under the same
message-id: some may have arrived, and the services recognise them.
"""

import asyncio
import os
import time

import aio_pika
from aio_pika import DeliveryMode, Message
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, DeliveryError, PublishError

from journal import Journal
from orders import Order, order

WINDOW = 50


class Unroutable(Exception):
    """The order came back because no queue takes it: sending it again would not help."""


async def main() -> None:
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
    journal = Journal("order-service")
    waiting = [order(number) for number in range(1, int(os.environ.get("ORDERS", 1000)) + 1)]
    while waiting:
        try:
            async with await aio_pika.connect(url) as connection:
                waiting = await place_all(connection, journal, waiting)
        except CONNECTION_EXCEPTIONS as error:
            print(f"no connection, trying again: {error!r}", flush=True)
        if waiting:
            await asyncio.sleep(0.2)


async def place_all(connection, journal: Journal, waiting: list[Order]) -> list[Order]:
    """Place the orders in `waiting`; what is returned was not confirmed."""
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    shop = await channel.get_exchange("shop")
    while waiting:
        window, rest = waiting[:WINDOW], waiting[WINDOW:]
        confirmed = await asyncio.gather(*(place(shop, journal, each) for each in window))
        waiting = [each for each, done in zip(window, confirmed) if not done] + rest
        if not all(confirmed):
            break
    return waiting


async def place(shop, journal: Journal, placed: Order) -> bool:
    """Publish one order; True once the broker has taken responsibility for it."""
    message = Message(
        placed.body,
        content_type="application/json",
        delivery_mode=DeliveryMode.PERSISTENT,
        correlation_id=placed.order_id,
        message_id=placed.message_id,
        timestamp=time.time(),
    )
    journal.record("published", placed.message_id)
    try:
        await shop.publish(message, routing_key="order.placed", mandatory=True, timeout=10)
    except PublishError as returned:
        raise Unroutable(placed.order_id) from returned
    except (DeliveryError, TimeoutError, *CONNECTION_EXCEPTIONS) as error:
        print(f"{placed.order_id} not confirmed: {error!r}", flush=True)
        return False
    journal.record("confirmed", placed.message_id)
    return True


if __name__ == "__main__":
    asyncio.run(main())
