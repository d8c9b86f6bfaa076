"""Servers as processes: started on a free port of the loopback, awaited, and stopped by their own pid."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest


def free_port() -> int:
    """A port that nobody listened on a moment ago; for servers that are restarted on the same one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def until(what: str, condition, seconds: float = 30, every: float = 0.05):
    """Asks `condition` until it gives something true, and gives that back; fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds} s still not: {what} (last seen: {found!r})")
        time.sleep(every)


def program(path: Path | str) -> str:
    """A program that installation should have left; its absence fails the test that needs it."""
    path = Path(path)
    if not os.access(path, os.X_OK):
        pytest.fail(f"{path} is not installed; tests/peers/run says why", pytrace=False)
    return str(path)


class Process:
    """One server process in a group of its own; a restart runs the same command with the same log."""

    def __init__(self, name: str, argv: list[str], log: Path, env: dict[str, str] | None = None, cwd: Path | None = None):
        self.name, self.argv, self.log, self.env, self.cwd = name, argv, log, env, cwd
        self.running: subprocess.Popen | None = None

    def start(self):
        assert self.running is None, f"{self.name} runs already"
        with open(self.log, "ab") as log:
            self.running = subprocess.Popen(
                self.argv, env=self.env, cwd=self.cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )

    def await_ready(self, ready, seconds: float = 30):
        """Waits until `ready()`; a process that ends instead fails the test with what it said."""
        def ready_or_dead():
            if self.running.poll() is not None:
                pytest.fail(f"{self.name} ended with {self.running.returncode}:\n{self.tail()}")
            return ready()

        until(f"{self.name} ready; see {self.log}", ready_or_dead, seconds)

    def signal(self, number: int):
        os.killpg(self.running.pid, number)

    def kill(self):
        """SIGKILL: nothing of it runs afterwards."""
        self.signal(signal.SIGKILL)
        self.running.wait()
        self.running = None

    def stop(self, seconds: float = 30) -> int:
        """SIGTERM, and SIGKILL when that is not obeyed, which fails the test. Gives the exit code."""
        running, self.running = self.running, None
        os.killpg(running.pid, signal.SIGCONT)
        running.terminate()
        try:
            return running.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            pytest.fail(f"{self.name} did not stop within {seconds} s:\n{self.tail()}")

    def clear_away(self):
        """Ends it however it stands; for fixtures."""
        if self.running is not None:
            self.kill()

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
