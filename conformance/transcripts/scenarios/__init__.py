"""The scripts, one module a group."""

from scenarios import dead_letters, exchanges, limits, publishing, queues
from scenarios.registry import SCENARIOS, Scenario

__all__ = ["SCENARIOS", "Scenario", "dead_letters", "exchanges", "limits", "publishing", "queues"]
