"""Looks into the dead letters: what is there, and why.

    find-dead-letter                 lists them, one a line
    find-dead-letter order-000050    tells all about those of one order

Nothing is taken out of the queue: the messages are fetched without being
acknowledged, so they go back to their places when the channel closes.
"""

import sys

from topology import DEAD_LETTERS, connect


def dead_letters(connection) -> list:
    """All dead letters, as (properties, body), oldest first, left where they are."""
    channel = connection.channel()
    found = []
    while True:
        delivery, properties, body = channel.basic_get(DEAD_LETTERS, auto_ack=False)
        if delivery is None:
            break
        found.append((properties, body))
    channel.close()
    return found


def deaths(properties) -> list[dict]:
    """The message's x-death: each queue it died in and why, the latest first."""
    return (properties.headers or {}).get("x-death", [])


def summary(properties) -> str:
    why = ", ".join(f"{death['reason']} from {death['queue']}" for death in deaths(properties))
    return f"{properties.correlation_id}  {why}"


def details(properties, body: bytes) -> str:
    """Everything that is known about one dead letter, one fact a line."""
    lines = [f"{properties.correlation_id}, message {properties.message_id}"]
    for death in deaths(properties):
        lines += [
            f"  reason        {death['reason']}",
            f"  queue         {death['queue']}",
            f"  exchange      {death['exchange']}",
            f"  routing-keys  {', '.join(death['routing-keys'])}",
            f"  count         {death['count']}",
            f"  time          {death['time']:%Y-%m-%d %H:%M:%S} UTC",
        ]
    lines.append(f"  body          {body.decode(errors='backslashreplace')}")
    return "\n".join(lines)


def main() -> int:
    with connect() as connection:
        letters = dead_letters(connection)
    if len(sys.argv) == 1:
        for properties, _ in letters:
            print(summary(properties))
        return 0
    order_id = sys.argv[1]
    found = [letter for letter in letters if letter[0].correlation_id == order_id]
    for properties, body in found:
        print(details(properties, body))
    if not found:
        print(f"none of the {len(letters)} dead letters is of {order_id}", file=sys.stderr)
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
