"""Hosts on one machine. Each has its own network, processes and temporary files.

A host is a set of Linux namespaces under one process. When this process ends, the kernel ends every
process of the host and removes its network. It also ends when the program that made it ends, in any
way, so nothing is left behind.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO


class HostError(Exception):
    """A host or a process on it cannot be started; one line."""


def missing() -> str | None:
    """What this machine lacks to make hosts; None if it lacks nothing."""
    for program in ("ip", "unshare", "nsenter"):
        if shutil.which(program) is None:
            return f"the program {program} is missing"
    if os.geteuid() != 0:
        return "hosts need root"
    probe = ["unshare", "--mount", "--net", "--pid", "--fork", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return "the kernel allows no namespaces here"
    return None


class Process:
    """A process on a host; its output goes to a log file."""

    def __init__(self, host: Host, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        """See `Host.start`."""
        self.host, self.name, self.popen, self.log = host, name, popen, log

    def wait_for(self, text: str, seconds: float) -> None:
        """Wait until the log contains a text.

        Raises:
            HostError: the process ended, or the text did not come in time.
        """
        until = time.monotonic() + seconds
        while True:
            ended = self.popen.poll() is not None  # first: then the log is complete
            if text in self.log.read_text(errors="replace"):
                return
            if ended:
                raise HostError(f"{self.name} on {self.host.name} ended: see {self.log}")
            if time.monotonic() > until:
                raise HostError(f"{self.name} on {self.host.name}: no {text!r} in {self.log}")
            time.sleep(0.1)


class _Namespaces:
    """Namespaces of one kind under one process, which ends when this program ends."""

    def __init__(self, name: str, prepare: str, *arguments: str) -> None:
        """Make the namespaces and run a shell script in them first."""
        script = f"{prepare} && ip link set lo up && echo ready && read -r _"
        command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
        self.holder = subprocess.Popen(
            [*command, "--mount-proc", "sh", "-c", script, name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        output: IO[bytes] = self.holder.stdout  # type: ignore[assignment]
        if output.readline() != b"ready\n":
            self.end()
            raise HostError(f"{name}: cannot make its namespaces")
        children = Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        self.first = children.read_text().split()[0]
        """Process id of the first process in the namespaces."""

    def ip(self, *arguments: str) -> None:
        """Run `ip` in the network of these namespaces."""
        _run("nsenter", "--net", "--target", self.first, "ip", *arguments)

    def end(self) -> None:
        """End all processes in the namespaces."""
        self.holder.kill()
        self.holder.wait()


class Host:
    """One host of a `Network`.

    Attributes:
        name: short name.
        address: IPv4 address, reached from every other host and from this machine.
        folder: its temporary files, as this machine sees them.
        inside: the folder where the host sees them; it replaces the folder that the network hides.
    """

    def __init__(self, network: Network, name: str, address: str) -> None:
        """Make the host's namespaces; `Network.add` calls this."""
        self.name, self.address = name, address
        self.inside = network.hidden
        self.folder = network.folder / name
        self.logs = network.folder / "logs"
        self.folder.mkdir()
        self.processes: list[Process] = []
        self.namespaces = _Namespaces(
            name, 'mount --bind "$1" "$2"', str(self.folder), str(self.inside)
        )

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Process:
        """Start a process on the host, in its temporary folder."""
        log = self.logs / f"{self.name}-{name}.log"
        enter = ["nsenter", "--mount", "--net", "--pid", "--target"]
        enter += [self.namespaces.first]
        enter += ["env", f"--chdir={self.inside}"]
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [*enter, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(self.inside), **(environment or {})},
                start_new_session=True,
            )
        process = Process(self, name, popen, log)
        self.processes.append(process)
        return process

    def kill(self) -> None:
        """End the host at once, as a power cut does."""
        self.namespaces.end()
        for process in self.processes:
            process.popen.wait()


class Network:
    """A switch and the hosts on it; a context manager that removes them all.

    Attributes:
        folder: temporary files and logs of all hosts.
        hidden: a folder of this machine, which contains `folder` or is `folder`. Each host sees its
            own temporary files in its place, so no host sees those of another.
        hosts: the hosts so far.
    """

    def __init__(self, folder: Path, hidden: Path | None = None) -> None:
        """Nothing is made until the context is entered."""
        self.folder = folder
        self.hidden = hidden or folder
        self.hosts: list[Host] = []

    @property
    def address(self) -> str:
        """IPv4 address of this machine on the switch."""
        return f"{self._prefix}.1"

    def __enter__(self) -> Network:
        """Make the switch, on a network that is not used on this machine."""
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        used = subprocess.run(["ip", "-4", "route"], capture_output=True, text=True, check=True)
        free = [f"10.{a}.{b}" for a in range(64, 128) for b in range(256)]
        self._prefix = secrets.choice([p for p in free if f"{p}." not in used.stdout])
        # The bridge is in its own namespaces, so it is removed when this program ends.
        self._switch = _Namespaces("switch", "ip link add bridge type bridge")
        self._switch.ip("link", "set", "bridge", "up")
        link = "ghsl" + "".join(f"{int(part):02x}" for part in self._prefix.split("."))
        self._plug(link, str(os.getpid()))
        _run("ip", "addr", "add", f"{self.address}/24", "dev", link)
        _run("ip", "link", "set", link, "up")
        return self

    def _plug(self, link: str, process: str) -> None:
        """Connect the network of a process by a cable; its end there is called `link`."""
        port = f"port{len(self.hosts)}"
        self._switch.ip(
            *("link", "add", port, "master", "bridge", "type", "veth"),
            *("peer", "name", link, "netns", process),
        )
        self._switch.ip("link", "set", port, "up")

    def add(self, name: str) -> Host:
        """Add a host."""
        host = Host(self, name, f"{self._prefix}.{len(self.hosts) + 2}")
        self.hosts.append(host)
        self._plug("eth0", host.namespaces.first)
        host.namespaces.ip("addr", "add", f"{host.address}/24", "dev", "eth0")
        host.namespaces.ip("link", "set", "eth0", "up")
        return host

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every host and the switch, remove the temporary files of the hosts; keep the logs."""
        for host in self.hosts:
            host.kill()
            shutil.rmtree(host.folder, ignore_errors=True)
        self._switch.end()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(f"{' '.join(command)}: {done.stderr.strip()}")
