"""AMQP 0-9-1 as octets: frames, methods, content headers, field tables.

Just enough of a codec that a script can send any method, valid or not, and see
each frame that comes back with the types of its values, which client libraries hide.
"""

import struct
from dataclasses import dataclass

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME_END = 0xCE
# type, channel, size, and the end octet.
FRAME_OVERHEAD = 8

# class, method, name, arguments. Types: s short string, S long string, o octet,
# w short, l long, L long long, F table, b bit.
METHOD_TABLE = """
10 10 connection.start version_major:o version_minor:o server_properties:F mechanisms:S locales:S
10 11 connection.start-ok client_properties:F mechanism:s response:S locale:s
10 20 connection.secure challenge:S
10 21 connection.secure-ok response:S
10 30 connection.tune channel_max:w frame_max:l heartbeat:w
10 31 connection.tune-ok channel_max:w frame_max:l heartbeat:w
10 40 connection.open virtual_host:s reserved_1:s reserved_2:b
10 41 connection.open-ok reserved_1:s
10 50 connection.close reply_code:w reply_text:s class_id:w method_id:w
10 51 connection.close-ok
10 60 connection.blocked reason:s
10 61 connection.unblocked
10 70 connection.update-secret new_secret:S reason:s
10 71 connection.update-secret-ok
20 10 channel.open reserved_1:s
20 11 channel.open-ok reserved_1:S
20 20 channel.flow active:b
20 21 channel.flow-ok active:b
20 40 channel.close reply_code:w reply_text:s class_id:w method_id:w
20 41 channel.close-ok
30 10 access.request realm:s exclusive:b passive:b active:b write:b read:b
30 11 access.request-ok ticket:w
40 10 exchange.declare ticket:w exchange:s type:s passive:b durable:b auto_delete:b internal:b nowait:b arguments:F
40 11 exchange.declare-ok
40 20 exchange.delete ticket:w exchange:s if_unused:b nowait:b
40 21 exchange.delete-ok
40 30 exchange.bind ticket:w destination:s source:s routing_key:s nowait:b arguments:F
40 31 exchange.bind-ok
40 40 exchange.unbind ticket:w destination:s source:s routing_key:s nowait:b arguments:F
40 51 exchange.unbind-ok
50 10 queue.declare ticket:w queue:s passive:b durable:b exclusive:b auto_delete:b nowait:b arguments:F
50 11 queue.declare-ok queue:s message_count:l consumer_count:l
50 20 queue.bind ticket:w queue:s exchange:s routing_key:s nowait:b arguments:F
50 21 queue.bind-ok
50 30 queue.purge ticket:w queue:s nowait:b
50 31 queue.purge-ok message_count:l
50 40 queue.delete ticket:w queue:s if_unused:b if_empty:b nowait:b
50 41 queue.delete-ok message_count:l
50 50 queue.unbind ticket:w queue:s exchange:s routing_key:s arguments:F
50 51 queue.unbind-ok
60 10 basic.qos prefetch_size:l prefetch_count:w global:b
60 11 basic.qos-ok
60 20 basic.consume ticket:w queue:s consumer_tag:s no_local:b no_ack:b exclusive:b nowait:b arguments:F
60 21 basic.consume-ok consumer_tag:s
60 30 basic.cancel consumer_tag:s nowait:b
60 31 basic.cancel-ok consumer_tag:s
60 40 basic.publish ticket:w exchange:s routing_key:s mandatory:b immediate:b
60 50 basic.return reply_code:w reply_text:s exchange:s routing_key:s
60 60 basic.deliver consumer_tag:s delivery_tag:L redelivered:b exchange:s routing_key:s
60 70 basic.get ticket:w queue:s no_ack:b
60 71 basic.get-ok delivery_tag:L redelivered:b exchange:s routing_key:s message_count:l
60 72 basic.get-empty reserved_1:s
60 80 basic.ack delivery_tag:L multiple:b
60 90 basic.reject delivery_tag:L requeue:b
60 100 basic.recover-async requeue:b
60 110 basic.recover requeue:b
60 111 basic.recover-ok
60 120 basic.nack delivery_tag:L multiple:b requeue:b
85 10 confirm.select nowait:b
85 11 confirm.select-ok
90 10 tx.select
90 11 tx.select-ok
90 20 tx.commit
90 21 tx.commit-ok
90 30 tx.rollback
90 31 tx.rollback-ok
"""

# In the order of their flag bits, from bit 15 down.
PROPERTIES = (
    "content_type:s content_encoding:s headers:F delivery_mode:o priority:o correlation_id:s "
    "reply_to:s expiration:s message_id:s timestamp:L type:s user_id:s app_id:s cluster_id:s"
)


@dataclass(frozen=True)
class MethodShape:
    class_id: int
    method_id: int
    name: str
    arguments: tuple[tuple[str, str], ...]


def read_shapes() -> list[MethodShape]:
    shapes = []
    for line in METHOD_TABLE.strip().splitlines():
        class_id, method_id, name, *arguments = line.split()
        pairs = tuple(tuple(argument.split(":")) for argument in arguments)
        shapes.append(MethodShape(int(class_id), int(method_id), name, pairs))
    return shapes


SHAPES = read_shapes()
BY_NAME = {shape.name: shape for shape in SHAPES}
BY_ID = {(shape.class_id, shape.method_id): shape for shape in SHAPES}
PROPERTY_TYPES = [tuple(word.split(":")) for word in PROPERTIES.split()]
FIXED = {"o": ">B", "w": ">H", "l": ">I", "L": ">Q"}
# The field values of RabbitMQ's dialect that struct can do.
FIXED_FIELDS = {"b": ">b", "B": ">B", "s": ">h", "u": ">H", "I": ">i", "i": ">I", "l": ">q", "T": ">Q", "f": ">f", "d": ">d"}


@dataclass(frozen=True)
class Typed:
    """A field value with its type octet, where Python's own type doesn't say it."""

    tag: str
    value: object


def encode_short(text: str | bytes) -> bytes:
    octets = text.encode() if isinstance(text, str) else text
    return bytes([len(octets)]) + octets


def encode_long(text: str | bytes) -> bytes:
    octets = text.encode() if isinstance(text, str) else text
    return struct.pack(">I", len(octets)) + octets


def encode_table(table: dict) -> bytes:
    return encode_long(b"".join(encode_short(key) + encode_field(value) for key, value in table.items()))


def encode_field(value: object) -> bytes:
    """A field value; a plain int is an `I`, as most clients send small numbers."""
    if isinstance(value, Typed):
        if value.tag == "x":
            return b"x" + encode_long(value.value)
        return value.tag.encode() + struct.pack(FIXED_FIELDS[value.tag], value.value)
    if value is None:
        return b"V"
    if isinstance(value, bool):
        return b"t" + bytes([value])
    if isinstance(value, int):
        return encode_field(Typed("I" if -(2**31) <= value < 2**31 else "l", value))
    if isinstance(value, float):
        return encode_field(Typed("d", value))
    if isinstance(value, dict):
        return b"F" + encode_table(value)
    if isinstance(value, list):
        return b"A" + encode_long(b"".join(map(encode_field, value)))
    return b"S" + encode_long(value)


def encode_arguments(pairs: tuple, values: dict) -> bytes:
    out, bits, count = b"", 0, 0
    for name, kind in pairs:
        value = values.pop(name, None)
        if kind == "b":
            bits |= bool(value) << count
            count += 1
            continue
        if count:
            out, bits, count = out + bytes([bits]), 0, 0
        out += encode_one(kind, value)
    if values:
        raise ValueError(f"no such argument: {', '.join(values)}")
    return out + (bytes([bits]) if count else b"")


def encode_one(kind: str, value: object) -> bytes:
    if kind == "s":
        return encode_short(value or "")
    if kind == "S":
        return encode_long(value or "")
    if kind == "F":
        return encode_table(value or {})
    return struct.pack(FIXED[kind], value or 0)


def encode_method(name: str, values: dict) -> bytes:
    shape = BY_NAME[name]
    return struct.pack(">HH", shape.class_id, shape.method_id) + encode_arguments(shape.arguments, dict(values))


def encode_header(size: int, properties: dict) -> bytes:
    flags, out = 0, b""
    for bit, (name, kind) in enumerate(PROPERTY_TYPES):
        if name in properties:
            flags |= 1 << (15 - bit)
            out += encode_one(kind, properties[name])
    unknown = set(properties) - {name for name, _ in PROPERTY_TYPES}
    if unknown:
        raise ValueError(f"no such property: {', '.join(unknown)}")
    return struct.pack(">HHQH", 60, 0, size, flags) + out


def encode_frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + bytes([FRAME_END])


class Reader:
    """Takes values off the front of a payload."""

    def __init__(self, octets: bytes):
        self.octets = octets
        self.at = 0

    def take(self, count: int) -> bytes:
        part = self.octets[self.at : self.at + count]
        if len(part) < count:
            raise ValueError("the payload ends early")
        self.at += count
        return part

    def number(self, layout: str) -> int | float:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def one(self, kind: str) -> object:
        if kind == "s":
            return self.take(self.number(">B")).decode()
        if kind == "S":
            return self.take(self.number(">I")).decode(errors="replace")
        if kind == "F":
            return self.table()
        return self.number(FIXED[kind])

    def table(self) -> dict:
        inside = Reader(self.take(self.number(">I")))
        table = {}
        while inside.at < len(inside.octets):
            key = inside.one("s")
            table[key] = inside.field()
        return table

    def field(self) -> object:
        tag = self.take(1).decode()
        if tag == "S":
            return self.one("S")
        if tag == "t":
            return self.take(1) != b"\x00"
        if tag == "V":
            return None
        if tag == "F":
            return self.table()
        if tag == "A":
            inside = Reader(self.take(self.number(">I")))
            values = []
            while inside.at < len(inside.octets):
                values.append(inside.field())
            return values
        if tag == "x":
            return Typed("x", self.take(self.number(">I")))
        # RabbitMQ writes signed 64-bit numbers as `l` and reads either letter.
        return Typed(tag, self.number(FIXED_FIELDS["l" if tag == "L" else tag]))

    def arguments(self, pairs: tuple) -> dict:
        values, bits, left = {}, 0, 0
        for name, kind in pairs:
            if kind != "b":
                left = 0
                values[name] = self.one(kind)
                continue
            if not left:
                bits, left = self.number(">B"), 8
            values[name] = bool(bits & 1)
            bits, left = bits >> 1, left - 1
        return values


def decode_method(payload: bytes) -> tuple[str, dict]:
    reader = Reader(payload)
    shape = BY_ID[reader.number(">H"), reader.number(">H")]
    return shape.name, reader.arguments(shape.arguments)


def decode_header(payload: bytes) -> tuple[int, dict]:
    reader = Reader(payload)
    _class, _weight, size, flags = (reader.number(layout) for layout in (">H", ">H", ">Q", ">H"))
    properties = {}
    for bit, (name, kind) in enumerate(PROPERTY_TYPES):
        if flags & 1 << (15 - bit):
            properties[name] = reader.one(kind)
    return size, properties
