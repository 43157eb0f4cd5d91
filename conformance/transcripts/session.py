"""The connections of one scenario, and the transcript that they write.

A wait takes frames in the order in which they came and writes them down, so a
transcript depends on the script and the broker only. What nobody waited for is
written at the end, under `left over`.
"""

import os
import select
import socket
import time
from collections import deque
from urllib.parse import unquote, urlsplit

import wire
from channel import FRAME_MAX, WAIT_S, Arrived, Channel
from text import Renderer

# How long to listen, at the end, for what should not come.
QUIET_S = 0.15
CAPABILITIES = {
    "publisher_confirms": True,
    "exchange_exchange_bindings": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "authentication_failure_close": True,
}
WITH_CONTENT = {"basic.deliver", "basic.return", "basic.get-ok"}


class Session:
    """One run of one scenario."""

    def __init__(self, url: str):
        self.address = urlsplit(url)
        self.prefix = f"t{os.urandom(4).hex()}."
        self.renderer = Renderer(self.prefix)
        self.lines: list[str] = []
        self.connections: list[Connection] = []
        self.declared: set[tuple[str, str]] = set()

    def names(self, *names: str) -> list[str]:
        """Names that no other run uses; the transcript shows them as given."""
        return [self.prefix + name for name in names]

    def name(self, name: str) -> str:
        return self.prefix + name

    def write(self, line: str) -> None:
        self.lines.append(line.rstrip())

    def connect(self, capabilities: dict | None = None, vhost: str | None = None) -> "Connection":
        connection = Connection(self, len(self.connections) + 1, CAPABILITIES if capabilities is None else capabilities, vhost)
        self.connections.append(connection)
        return connection

    def channel(self, confirm: bool = False) -> Channel:
        """A channel on a connection of its own."""
        return self.connect().channel(confirm)

    def pause(self, seconds: float) -> None:
        """For what a clock has to bring about and no frame tells."""
        time.sleep(seconds)

    def settle(self) -> None:
        """Writes down what comes although nobody waited for it."""
        deadline = time.monotonic() + QUIET_S
        while (rest := deadline - time.monotonic()) > 0:
            open_ones = {c.socket: c for c in self.connections if not c.is_closed}
            if not open_ones:
                break
            for ready in select.select(list(open_ones), [], [], rest)[0]:
                open_ones[ready].pump()
        left = [(c, n, a) for c in self.connections for n, inbox in c.inboxes.items() for a in inbox]
        if left:
            self.write("-- left over")
        for connection, number, arrived in left:
            connection.write_arrived(number, arrived)

    def close(self) -> None:
        """Ends all connections and deletes what the script has declared."""
        for connection in self.connections:
            connection.hang_up()
        if not self.declared:
            return
        sweeper = Connection(self, 0, CAPABILITIES)
        channel = sweeper.channel()
        for kind, name in self.declared:
            channel.send(f"{kind}.delete", **{kind: name})
            while channel.next(WAIT_S).name not in (f"{kind}.delete-ok", "channel.close"):
                pass
            if channel.is_closed:
                channel = sweeper.channel()
        sweeper.hang_up()


class Connection:
    """A socket past its handshake; number 0 keeps out of the transcript."""

    def __init__(self, session: Session, number: int, capabilities: dict, vhost: str | None = None):
        self.session = session
        self.number = number
        self.inboxes: dict[int, deque[Arrived]] = {0: deque()}
        self.half: dict[int, Arrived] = {}
        self.octets = bytearray()
        self.channels = 0
        self.is_closed = False
        address = session.address
        self.socket = socket.create_connection((address.hostname, address.port or 5672), WAIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.handshake(capabilities, unquote(session.address.path[1:]) if vhost is None else vhost)

    def handshake(self, capabilities: dict, vhost: str) -> None:
        user, password = self.session.address.username or "guest", self.session.address.password or "guest"
        self.socket.sendall(wire.PROTOCOL_HEADER)
        self.greeting = self.await_arrived(0, WAIT_S).values
        self.transmit(
            0,
            "connection.start-ok",
            client_properties={"product": "transcripts", "capabilities": capabilities},
            mechanism="PLAIN",
            response=f"\0{user}\0{password}",
            locale="en_US",
        )
        self.await_arrived(0, WAIT_S)
        self.transmit(0, "connection.tune-ok", channel_max=2047, frame_max=FRAME_MAX, heartbeat=0)
        self.transmit(0, "connection.open", virtual_host=vhost)
        self.opened = self.await_arrived(0, WAIT_S)

    def channel(self, confirm: bool = False) -> Channel:
        """The next channel, opened; that is not worth a line in a transcript."""
        self.channels += 1
        channel = Channel(self, self.channels)
        self.inboxes[channel.number] = deque()
        self.transmit(channel.number, "channel.open")
        arrived = self.await_arrived(channel.number, WAIT_S)
        if arrived is None or arrived.name != "channel.open-ok":
            channel.give_up()
        if confirm:
            channel.confirm()
        return channel

    def call(self, name: str, **values: object) -> dict:
        """A method of the connection itself, and its reply."""
        self.write(0, ">", self.session.renderer.method(name, values, sent=True))
        self.transmit(0, name, **values)
        arrived = self.await_arrived(0, WAIT_S)
        self.write_arrived(0, arrived)
        return arrived.values

    def close(self) -> None:
        """An orderly end, as a client makes it."""
        self.call("connection.close", reply_code=200, reply_text="bye")
        self.hang_up()

    def hang_up(self) -> None:
        self.is_closed = True
        self.socket.close()

    def transmit(self, channel: int, name: str, **values: object) -> None:
        self.transmit_octets(wire.encode_frame(wire.METHOD, channel, wire.encode_method(name, values)))

    def transmit_octets(self, octets: bytes) -> None:
        try:
            self.socket.sendall(octets)
        except OSError:
            self.is_closed = True

    def await_arrived(self, channel: int, wait_s: float) -> Arrived | None:
        """The next thing on a channel; nothing after `wait_s`, or when the connection has ended."""
        deadline = time.monotonic() + wait_s
        inbox = self.inboxes[channel]
        while not inbox and not self.is_closed:
            rest = deadline - time.monotonic()
            if rest <= 0 or not select.select([self.socket], [], [], rest)[0]:
                return None
            self.pump()
        return inbox.popleft() if inbox else None

    def pump(self) -> None:
        try:
            octets = self.socket.recv(65536)
        except OSError:
            octets = b""
        self.is_closed |= not octets
        self.octets += octets
        while len(self.octets) >= wire.FRAME_OVERHEAD:
            size = int.from_bytes(self.octets[3:7], "big")
            if len(self.octets) < size + wire.FRAME_OVERHEAD:
                return
            kind, channel = self.octets[0], int.from_bytes(self.octets[1:3], "big")
            payload = bytes(self.octets[7 : 7 + size])
            del self.octets[: size + wire.FRAME_OVERHEAD]
            self.on_frame(kind, channel, payload)

    def on_frame(self, kind: int, channel: int, payload: bytes) -> None:
        if kind == wire.METHOD:
            arrived = Arrived(*wire.decode_method(payload))
            if arrived.name in WITH_CONTENT:
                self.half[channel] = arrived
                return
            self.on_close(channel, arrived)
            self.inboxes.setdefault(channel, deque()).append(arrived)
        elif kind == wire.HEADER:
            half = self.half[channel]
            half.body_size, half.properties = wire.decode_header(payload)
            self.on_body(channel, b"", 0)
        elif kind == wire.BODY:
            self.on_body(channel, payload, 1)

    def on_body(self, channel: int, payload: bytes, frames: int) -> None:
        half = self.half[channel]
        half.body += payload
        half.frames += frames
        if len(half.body) >= half.body_size:
            self.inboxes[channel].append(self.half.pop(channel))

    def on_close(self, channel: int, arrived: Arrived) -> None:
        if arrived.name == "channel.close":
            self.transmit(channel, "channel.close-ok")
        elif arrived.name == "connection.close":
            self.transmit(0, "connection.close-ok")
            self.is_closed = True

    def write(self, channel: int, arrow: str, text: str) -> None:
        if self.number:
            self.session.write(f"{self.number}.{channel} {arrow} {text}")

    def write_arrived(self, channel: int, arrived: Arrived) -> None:
        renderer = self.session.renderer
        values = dict(arrived.values)
        if arrived.name in ("basic.ack", "basic.nack"):
            # How a broker gathers its confirms is its own affair.
            del values["multiple"]
        line = renderer.method(arrived.name, values, sent=False)
        if arrived.properties is not None:
            line += " | " + renderer.content(arrived.properties, arrived.body, arrived.frames)
        self.write(channel, "<", line)
        if arrived.name == "queue.declare-ok":
            self.session.declared.add(("queue", arrived.values["queue"]))
