"""The programs of a run: the services, and for the crash a broker of our own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = Path(os.environ["WORK"])

COMMANDS = {
    "order-service": [sys.executable, HERE / "services/order_service.py"],
    "payment": [sys.executable, HERE / "services/payment.py"],
    "inventory": ["node", HERE / "services/inventory.js"],
    "notification": [WORK / "notification"],
    "analytics": [sys.executable, HERE / "services/analytics.py"],
}


class Service:
    """One running service, its journal and its log."""

    def __init__(self, name: str, folder: Path) -> None:
        journal = folder / f"{name}.jsonl"
        with (folder / f"{name}.log").open("a") as log:
            self.process = subprocess.Popen(
                COMMANDS[name],
                env={**os.environ, "JOURNAL": str(journal)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def is_running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """Ends it without warning, as a crash would: that must do no harm."""
        self.process.kill()
        self.process.wait()


def free_address() -> str:
    """An address of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class Broker:
    """A broker of our own, on a free port, that can be killed and started again."""

    def __init__(self, program: str, folder: Path) -> None:
        self.address = free_address()
        self.http = free_address()
        self.program = program
        self.folder = folder
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Starts it and waits until it says that it is ready; RuntimeError if it ends first."""
        log_path = self.folder / "broker.log"
        data = self.folder / "broker-data"
        with log_path.open("a") as log:
            self.process = subprocess.Popen(
                [self.program, "serve", "--data-dir", data, "--amqp", self.address]
                + ["--http", self.http, "--prometheus", "off"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        if not any(line.startswith("harrier ready") for line in self.process.stdout):
            raise RuntimeError(f"{self.program} did not get ready: see {log_path}")

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def stops_cleanly(self) -> bool:
        """Stops it as an operator would; whether it ends in time and says all is well."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=30) == 0
        except subprocess.TimeoutExpired:
            return False
