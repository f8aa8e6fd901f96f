"""A process that tries mutations, with limits of time and memory; its end is seen and named."""

from __future__ import annotations

import importlib
import multiprocessing
import random
import resource
import shutil
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from transforms.elements import GhslBeamError

SECONDS = 30.0
"""For one mutation: generous, since what hangs takes minutes, or never ends."""
_BEGIN_SECONDS = 180.0
_MEMORY = 2 << 30
"""More than what the process has when its sound inputs are made and read."""


@dataclass
class Result:
    """What became of a target's mutations."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def try_all(target: str, seed: int, count: int) -> Result:
    """Try mutations 0 to `count` of a target; a process that hangs or dies is begun anew."""
    result = Result()
    worker = _Worker(target)
    try:
        for number in range(count):
            outcome = worker.ask(seed, number)
            if outcome.startswith("fault"):
                result.faults.append(f"{target} {seed} {number}: {outcome[6:]}")
                outcome = "fault"
            result.outcomes[outcome] += 1
            if len(result.faults) > 40:
                break
            if not worker.alive:
                worker.close()
                worker = _Worker(target)
    finally:
        worker.close()
    return result


class _Worker:
    def __init__(self, target: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._folder = tempfile.mkdtemp(prefix="ghsl-beam-fuzz-")
        arguments = (target, self._folder, theirs)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self.alive = True
        if (answer := self._answer(_BEGIN_SECONDS)) != "ready":
            raise AssertionError(f"{target}: the sound inputs are not taken: {answer}")

    def ask(self, seed: int, number: int) -> str:
        self._pipe.send((seed, number))
        return self._answer(SECONDS)

    def _answer(self, seconds: float) -> str:
        try:
            if self._pipe.poll(seconds):
                return str(self._pipe.recv())
            what = f"fault no answer after {seconds:.0f} s"
        except EOFError:
            self._process.join(10)
            what = f"fault the process died with {self._process.exitcode}"
        self.alive = False
        return what

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _serve(target: str, place: str, pipe: multiprocessing.connection.Connection) -> None:
    folder = Path(place)
    try:
        module = importlib.import_module(f"tests.fuzz.target_{target}")
        state = module.prepare(folder)
        _limit_memory()
        pipe.send("ready")
        while True:
            seed, number = pipe.recv()
            pipe.send(outcome(module, state, folder, seed, number))
    except EOFError:
        pass
    except Exception:
        pipe.send(traceback.format_exc())
        raise


def outcome(module, state, folder: Path, seed: int, number: int) -> str:
    """What becomes of one mutation: a word, or `fault` and what is wrong."""
    here = folder / "case"
    here.mkdir()
    told: list[str] = []
    dice = random.Random(f"{seed} {number}")  # noqa: S311 - to be repeated, not to be secret
    try:
        return str(module.case(state, dice, here, told.append))
    except GhslBeamError as error:
        line = str(error)
        if "\n" in line or len(line) > 3000:
            return f"fault no line, {told}: {line[:300]!r}"
        return "refused"
    except AssertionError as error:
        return f"fault {error}, {told}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return f"fault {type(error).__name__} at {where}, {told}: {str(error)[:200]}"
    finally:
        shutil.rmtree(here, ignore_errors=True)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
