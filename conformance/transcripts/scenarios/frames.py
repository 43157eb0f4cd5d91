"""Frames that don't belong where they come, and how connections and channels end."""

import struct

import wire
from scenarios.registry import scenario, variants
from session import Connection, Session


def send(connection: Connection, *frames: tuple[int, int, bytes]) -> None:
    for kind, channel, payload in frames:
        connection.write(channel, ">", f"frame of type {kind}: {payload.hex(' ')}")
        connection.transmit_octets(wire.encode_frame(kind, channel, payload))


def publish_method() -> bytes:
    return wire.encode_method("basic.publish", {"routing_key": "k"})


@variants(
    channel_never_opened=[(wire.METHOD, 7, wire.encode_method("basic.qos", {}))],
    opened_twice=[(wire.METHOD, 1, wire.encode_method("channel.open", {}))],
    connection_open_again=[(wire.METHOD, 0, wire.encode_method("connection.open", {"virtual_host": "/"}))],
    header_alone=[(wire.HEADER, 1, wire.encode_header(0, {}))],
    body_alone=[(wire.BODY, 1, b"x")],
    method_for_header=[(wire.METHOD, 1, publish_method()), (wire.METHOD, 1, wire.encode_method("basic.qos", {}))],
    body_for_header=[(wire.METHOD, 1, publish_method()), (wire.BODY, 1, b"x")],
    header_of_another_class=[(wire.METHOD, 1, publish_method()), (wire.HEADER, 1, struct.pack(">HHQH", 50, 0, 0, 0))],
    method_for_body=[
        (wire.METHOD, 1, publish_method()),
        (wire.HEADER, 1, wire.encode_header(5, {})),
        (wire.METHOD, 1, wire.encode_method("basic.qos", {})),
    ],
    body_too_long=[
        (wire.METHOD, 1, publish_method()),
        (wire.HEADER, 1, wire.encode_header(1, {})),
        (wire.BODY, 1, b"xy"),
    ],
    unknown_type=[(7, 1, b"abc")],
    heartbeat_with_payload=[(wire.HEARTBEAT, 0, b"x")],
    heartbeat_on_a_channel=[(wire.HEARTBEAT, 1, b"")],
    header_on_channel_zero=[(wire.HEADER, 0, wire.encode_header(0, {}))],
    truncated_method=[(wire.METHOD, 1, b"\x00")],
    truncated_arguments=[(wire.METHOD, 1, b"\x00\x3c\x00\x0a\x00")],
    method_of_a_server=[(wire.METHOD, 1, wire.encode_method("basic.qos-ok", {}))],
    body_size_too_large=[(wire.METHOD, 1, publish_method()), (wire.HEADER, 1, wire.encode_header(2**29 + 1, {}))],
    malformed_name=[(wire.METHOD, 1, wire.encode_method("queue.declare", {"queue": b"\xff\xfe"}))],
)
def out_of_place(s: Session, frames: list) -> None:
    """Ends the connection."""
    c = s.connect()
    c.channel()
    send(c, *frames)
    c.write_arrived(0, c.await_arrived(0, 6))


@scenario
def close_channel_with_unknown_consumers(s: Session) -> None:
    """A channel's number may be used again after its close."""
    c = s.connect()
    first = c.channel()
    first.close()
    c.channels = 0
    c.channel().qos(1)


@scenario
def silent_after_a_channel_error(s: Session) -> None:
    """Until its close is answered, a failed channel swallows everything."""
    queue = s.name("queue")
    c = s.connect()
    one, two = c.channel(), c.channel()
    one.send("queue.declare", queue=s.name("missing"), passive=True)
    one.send("queue.declare", queue=queue, durable=True)
    one.take()
    two.count(queue)


@scenario
def close_connection(s: Session) -> None:
    """An orderly end."""
    c = s.connect()
    c.channel()
    c.close()


@scenario
def update_secret(s: Session) -> None:
    """A new password for the connection."""
    s.connect().call("connection.update-secret", new_secret="guest", reason="rotation")


@scenario
def access_request(s: Session) -> None:
    """A relic that is answered."""
    s.channel().call("access.request", realm="/data")


@scenario
def greeting(s: Session) -> None:
    """What a broker says of itself that clients look at."""
    properties = s.connect().greeting["server_properties"]
    s.write(f"capabilities: {s.renderer.value(dict(sorted(properties['capabilities'].items())))}")
    s.write(f"properties: {', '.join(sorted(properties))}")


@variants(missing="nowhere", empty="")
def virtual_host(s: Session, name: str) -> None:
    """One that isn't there."""
    c = s.connect(vhost=name)
    c.write_arrived(0, c.opened)
