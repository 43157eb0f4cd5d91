"""Where scripts make themselves known."""

from collections.abc import Callable
from dataclasses import dataclass

from session import Session


@dataclass(frozen=True)
class Scenario:
    group: str
    title: str
    # The first line of the script's docstring.
    summary: str
    script: Callable[[Session], None]

    @property
    def name(self) -> str:
        return f"{self.group}/{self.title}"


SCENARIOS: list[Scenario] = []


def scenario(script: Callable[[Session], None]) -> Callable[[Session], None]:
    group = script.__module__.rpartition(".")[2]
    SCENARIOS.append(Scenario(group, script.__name__, script.__doc__.splitlines()[0], script))
    return script


def variants(**choices: object) -> Callable:
    """One scenario for each choice, which the script gets as its second argument."""

    def register(script: Callable) -> Callable:
        group = script.__module__.rpartition(".")[2]
        for label, choice in choices.items():
            summary = script.__doc__.splitlines()[0]
            SCENARIOS.append(Scenario(group, f"{script.__name__}[{label}]", summary, lambda s, c=choice: script(s, c)))
        return script

    return register
