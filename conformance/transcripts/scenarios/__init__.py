"""The scripts, one module a group."""

from scenarios import (
    consuming,
    dead_letters,
    exchange_types,
    exchanges,
    frames,
    lifetimes,
    limits,
    publishing,
    queues,
    reply_to,
    settling,
    taking_turns,
)
from scenarios.registry import SCENARIOS, Scenario

__all__ = [
    "SCENARIOS",
    "Scenario",
    "consuming",
    "dead_letters",
    "exchange_types",
    "exchanges",
    "frames",
    "lifetimes",
    "limits",
    "publishing",
    "queues",
    "reply_to",
    "settling",
    "taking_turns",
]
