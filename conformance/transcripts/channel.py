"""One channel of a script: methods out, waits for what comes, and short forms of both."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import wire

if TYPE_CHECKING:
    from session import Connection

# Brokers answer in milliseconds; a machine that is busy with a build doesn't.
WAIT_S = 6
FRAME_MAX = 131072
QUEUE_BITS = {"passive", "exclusive", "auto_delete", "nowait"}
EXCHANGE_BITS = {"passive", "auto_delete", "internal", "nowait"}
CONSUME_BITS = {"no_ack", "exclusive", "nowait", "no_local"}


class Ended(Exception):
    """The script can't go on: its channel or connection is gone."""


@dataclass
class Arrived:
    """A method and, where it has one, its content."""

    name: str
    values: dict
    properties: dict | None = None
    body: bytes = b""
    body_size: int = 0
    frames: int = 0


class Channel:
    """Methods go out by `send` and `call`; `take` waits for what comes unasked."""

    def __init__(self, connection: "Connection", number: int):
        self.connection = connection
        self.number = number
        self.is_closed = False
        # Sequence number of the last publish, once in confirm mode.
        self.published: int | None = None

    def send(self, name: str, **values: object) -> None:
        self.require_open()
        self.connection.write(self.number, ">", self.connection.session.renderer.method(name, values, sent=True))
        if name == "exchange.declare" and not values.get("passive"):
            self.connection.session.declared.add(("exchange", values["exchange"]))
        if name == "queue.declare" and values.get("nowait"):
            self.connection.session.declared.add(("queue", values["queue"]))
        self.connection.transmit(self.number, name, **values)

    def call(self, name: str, **values: object) -> dict:
        """Sends a method and takes all that comes up to its reply, or the close of the channel."""
        self.send(name, **values)
        replies = {f"{name}-ok", "channel.close"} if name != "basic.get" else {"basic.get-ok", "basic.get-empty", "channel.close"}
        while (arrived := self.take_one()).name not in replies:
            pass
        return arrived.values

    def take(self, count: int = 1, wait_s: float = WAIT_S) -> list[Arrived]:
        """The next `count` things that come."""
        return [self.take_one(wait_s) for _ in range(count)]

    def take_one(self, wait_s: float = WAIT_S) -> Arrived:
        arrived = self.next(wait_s)
        self.connection.write_arrived(self.number, arrived)
        return arrived

    def next(self, wait_s: float) -> Arrived:
        """As `take_one`, but leaves the writing to the caller."""
        self.require_open()
        arrived = self.connection.await_arrived(self.number, wait_s)
        if arrived is None:
            self.give_up()
        if arrived.name == "channel.close":
            self.is_closed = True
        return arrived

    def give_up(self) -> None:
        connection = self.connection
        while connection.inboxes[0]:
            connection.write_arrived(0, connection.inboxes[0].popleft())
        gone = "connection closed" if connection.is_closed else "nothing comes"
        raise Ended(f"{connection.number}.{self.number} {gone}")

    def require_open(self) -> None:
        if self.is_closed:
            raise Ended(f"{self.connection.number}.{self.number} channel closed")

    # --- short forms -------------------------------------------------------

    def declare(self, queue: str, durable: bool = True, **others: object) -> dict:
        """queue.declare; what isn't one of its bits is a queue argument, `_` for `-`."""
        return self.call("queue.declare", queue=queue, durable=durable, **split_arguments(others, QUEUE_BITS))

    def exchange(self, exchange: str, kind: str, durable: bool = True, **others: object) -> dict:
        values = split_arguments(others, EXCHANGE_BITS)
        return self.call("exchange.declare", exchange=exchange, type=kind, durable=durable, **values)

    def bind(self, queue: str, exchange: str, key: str = "", **arguments: object) -> dict:
        return self.call("queue.bind", queue=queue, exchange=exchange, routing_key=key, arguments=dashed(arguments))

    def consume(self, queue: str, tag: str, **others: object) -> dict:
        values = split_arguments(others, CONSUME_BITS)
        return self.call("basic.consume", queue=queue, consumer_tag=tag, **values)

    def get(self, queue: str, no_ack: bool = False) -> dict:
        return self.call("basic.get", queue=queue, no_ack=no_ack)

    def count(self, queue: str) -> dict:
        """Messages and consumers, by a passive declaration."""
        return self.call("queue.declare", queue=queue, passive=True)

    def qos(self, count: int) -> dict:
        return self.call("basic.qos", prefetch_count=count)

    def ack(self, tag: int, multiple: bool = False) -> None:
        self.send("basic.ack", delivery_tag=tag, multiple=multiple)

    def nack(self, tag: int, requeue: bool = True, multiple: bool = False) -> None:
        self.send("basic.nack", delivery_tag=tag, requeue=requeue, multiple=multiple)

    def reject(self, tag: int, requeue: bool = True) -> None:
        self.send("basic.reject", delivery_tag=tag, requeue=requeue)

    def cancel(self, tag: str) -> dict:
        return self.call("basic.cancel", consumer_tag=tag)

    def confirm(self) -> dict:
        self.published = 0
        return self.call("confirm.select")

    def close(self) -> None:
        self.call("channel.close", reply_code=200, reply_text="bye")
        self.is_closed = True

    def publish(self, exchange: str, key: str, body: str | bytes = b"", mandatory: bool = False, **properties: object) -> None:
        """In confirm mode, waits until the broker has answered for the message."""
        self.post(exchange, key, body, mandatory, **properties)
        if self.published is not None:
            while (arrived := self.take_one()).name not in ("basic.ack", "basic.nack", "channel.close"):
                pass

    def put(self, queue: str, *bodies: str, **properties: object) -> None:
        """Messages for one queue, by the default exchange."""
        for body in bodies:
            self.publish("", queue, body, **properties)

    def post(self, exchange: str, key: str, body: str | bytes = b"", mandatory: bool = False, immediate: bool = False, **properties: object) -> None:
        """A publish that waits for nothing."""
        self.require_open()
        octets = body.encode() if isinstance(body, str) else body
        values = {"exchange": exchange, "routing_key": key, "mandatory": mandatory, "immediate": immediate}
        renderer = self.connection.session.renderer
        line = renderer.method("basic.publish", values, sent=True)
        self.connection.write(self.number, ">", line + " | " + renderer.content(properties, octets, 1))
        room = FRAME_MAX - wire.FRAME_OVERHEAD
        frames = [wire.encode_frame(wire.METHOD, self.number, wire.encode_method("basic.publish", values))]
        frames += [wire.encode_frame(wire.HEADER, self.number, wire.encode_header(len(octets), properties))]
        frames += [wire.encode_frame(wire.BODY, self.number, octets[at : at + room]) for at in range(0, len(octets), room)]
        self.connection.transmit_octets(b"".join(frames))
        if self.published is not None:
            self.published += 1

    def outcomes(self, count: int) -> None:
        """Waits until `count` publishes are settled; how acks are gathered into one is the broker's affair."""
        settled: dict[int, str] = {}
        low = 1
        while len(settled) < count:
            arrived = self.next(WAIT_S)
            if arrived.name not in ("basic.ack", "basic.nack"):
                self.connection.write_arrived(self.number, arrived)
                continue
            tag, first = arrived.values["delivery_tag"], low if arrived.values["multiple"] else arrived.values["delivery_tag"]
            for number in range(first, tag + 1):
                settled.setdefault(number, arrived.name.removeprefix("basic."))
        line = ", ".join(f"{number} {settled[number]}" for number in sorted(settled))
        self.connection.write(self.number, "<", f"confirms: {line}")

    def until_count(self, queue: str, messages: int) -> None:
        """Asks until the queue holds that many ready messages, and writes the last answer."""
        self.until(queue, lambda arrived: arrived.values.get("message_count") == messages)

    def until_gone(self, queue: str) -> None:
        """Asks until the queue is not there; the question closes the channel then."""
        self.until(queue, lambda arrived: arrived.name == "channel.close")

    def until(self, queue: str, is_so: Callable[[Arrived], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while True:
            self.connection.transmit(self.number, "queue.declare", queue=queue, passive=True)
            arrived = self.next(WAIT_S)
            if is_so(arrived) or self.is_closed or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        # Consumers are left out: a quorum queue counts those of basic.get for a moment.
        plain, messages = self.connection.session.renderer.plain(queue), arrived.values.get("message_count")
        if messages is None:
            self.connection.write_arrived(self.number, arrived)
        else:
            self.connection.write(self.number, "<", f"{plain} holds {messages} in the end")


def dashed(arguments: dict) -> dict:
    return {name.replace("_", "-"): value for name, value in arguments.items()}


def split_arguments(others: dict, bits: set[str]) -> dict:
    """A method's own bits, and the rest as its argument table."""
    own = {name: value for name, value in others.items() if name in bits}
    return own | {"arguments": dashed({name: value for name, value in others.items() if name not in bits})}
