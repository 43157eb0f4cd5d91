"""Frames as lines of text, with what differs from run to run taken out."""

import re
import time

from wire import Typed

# Names that a broker makes up, and the address inside a direct reply-to name.
MADE_UP = [
    (re.compile(r"amq\.gen-[A-Za-z0-9_-]{22}"), "amq.gen-<random>"),
    (re.compile(r"amq\.ctag-[A-Za-z0-9_-]{22}"), "amq.ctag-<random>"),
    (re.compile(r"amq\.rabbitmq\.reply-to\.[A-Za-z0-9+/=_.-]+"), "amq.rabbitmq.reply-to.<address>"),
]
# A timestamp this close to the clock is the broker's own.
NOW_S = 600
BODY_SHOWN = 40
PROTOCOL_FILLER = {"ticket", "reserved_1", "reserved_2"}


class Renderer:
    """Writes the frames of one run; `prefix` is what the run put before its names."""

    def __init__(self, prefix: str):
        self.prefix = prefix

    def plain(self, text: str) -> str:
        text = text.replace(self.prefix, "")
        for pattern, stand_in in MADE_UP:
            text = pattern.sub(stand_in, text)
        return text

    def value(self, value: object) -> str:
        """A field value; numbers carry the letter of their type, `I` apart."""
        if isinstance(value, Typed):
            return self.typed(value)
        if value is None:
            return "void"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, dict):
            return "{" + ", ".join(f"{self.plain(key)}: {self.value(inner)}" for key, inner in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(self.value, value)) + "]"
        if isinstance(value, str):
            return self.quoted(value)
        return str(value)

    def typed(self, value: Typed) -> str:
        if value.tag == "I":
            return str(value.value)
        if value.tag == "T" and abs(value.value - time.time()) < NOW_S:
            return "<now>T"
        return f"{value.value}{value.tag}"

    def quoted(self, text: str) -> str:
        return "'" + self.plain(text).replace("\r", "\\r").replace("\n", "\\n") + "'"

    def arguments(self, values: dict, skip_defaults: bool) -> str:
        words = []
        for name, value in values.items():
            if name in PROTOCOL_FILLER or skip_defaults and value in (None, False, 0, "", {}) and name != "exchange":
                continue
            if value is True:
                words.append(name)
            elif value is False:
                words.append(f"{name}=false")
            else:
                words.append(f"{name}={self.argument(value)}")
        return " ".join(words)

    def argument(self, value: object) -> str:
        if isinstance(value, str):
            plain = self.plain(value)
            return plain if re.fullmatch(r"[^\s'={}]+", plain) else self.quoted(value)
        return self.value(value)

    def method(self, name: str, values: dict, sent: bool) -> str:
        return f"{name} {self.arguments(values, skip_defaults=sent)}".rstrip()

    def content(self, properties: dict, body: bytes, frames: int) -> str:
        """Properties and the body, and how many frames a longer one took.

        Headers are sorted: RabbitMQ sorts them, a broker that keeps the client's order is as right.
        """
        if "headers" in properties:
            properties = properties | {"headers": dict(sorted(properties["headers"].items()))}
        words = self.arguments(properties, skip_defaults=False)
        text = self.quoted(body[:BODY_SHOWN].decode(errors="replace"))
        if len(body) > BODY_SHOWN:
            text += f"... {len(body)} octets in {frames} frames"
        return " | ".join(part for part in (words, text) if part)
