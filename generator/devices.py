"""One process per device: each has the generator on its own device, and takes cases from one queue.

A device that ends, or has no memory for a case that another one makes, gets no more cases; the others take its cases.
"""

from __future__ import annotations

import dataclasses
import re
import signal
import sys
from collections import deque
from collections.abc import Generator as Yields
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pickle import PicklingError
from typing import Any

from sora_eval.errors import ConfigError
from sora_eval.generator.answers import answers, one_line
from sora_eval.generator.base import Generator
from sora_eval.processes import end_with_parent
from sora_eval.types import Case, Failure, Video

_ENDS = 2
"""So many devices that ended at one case are no accident: it is given to no other."""
_PATIENCE_S = 10.0
"""So long a process that closed its connection may take to end."""
_OUT_OF_MEMORY = re.compile(r"out of memory|OutOfMemoryError|MemoryError", re.IGNORECASE)


def check_devices(value: Any) -> tuple[str, ...]:
    """Return the devices that the option `devices` names, whether or not they are there: a device or a list, GPUs by number; () for None
    and for "all".

    Raises:
        ConfigError: it names none.
    """
    if value is None or value == "all":
        return ()
    items = list(value) if isinstance(value, list | tuple) else [value]
    names = [f"cuda:{i}" if isinstance(i, int) and not isinstance(i, bool) else i for i in items]
    if not names or not all(isinstance(n, str) and re.fullmatch(r"cpu|mps|cuda|cuda:\d+", n) for n in names):
        raise ConfigError(f"devices={value}: write devices=all or a list such as devices=[0,1] or devices=[cuda:0,cpu]")
    return tuple(names)


def device_names(value: Any) -> tuple[str, ...]:
    """Return the devices of the option `devices`, with all GPUs for "all"; CUDA_VISIBLE_DEVICES decides which are there, and their numbers.

    A device that is there twice has two processes.

    Raises:
        ConfigError: it names none, or a GPU that is not there.
    """
    if value == "all":
        if not (gpus := _gpus()):
            raise ConfigError("devices=all: no GPU is there; name devices, such as devices=[cpu], or leave it out")
        return tuple(f"cuda:{i}" for i in range(gpus))
    names = check_devices(value)
    for name in names:
        if name.startswith("cuda") and int(name.partition(":")[2] or 0) >= _gpus():
            raise ConfigError(f"devices={value}: there is no {name}; {_gpus()} GPUs are there")
    return names


def devices_of(generator: Generator, value: Any) -> tuple[str, ...]:
    """Return the devices of the option `devices`, on which the generator can be put.

    Raises:
        ConfigError: as `device_names` and `on_device`.
    """
    names = device_names(value)
    for name in names:
        on_device(generator, name)
    return names


def on_device(generator: Generator, device: str) -> Generator:
    """Return the generator on a device: by its method `on_device`, else by its field `device`.

    Raises:
        ConfigError: it has neither.
    """
    method = getattr(generator, "on_device", None)
    if method is not None:
        moved: Generator = method(device)
        return moved
    if dataclasses.is_dataclass(generator) and "device" in {f.name for f in dataclasses.fields(generator)}:
        return dataclasses.replace(generator, device=device)
    raise ConfigError(f"devices: {type(generator).__name__} can't be put on a device; it has no option device")


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()


def gpu_memory() -> int:
    """Return the most bytes of GPU memory that this process has held, 0 where it has used no GPU."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return int(sum(torch.cuda.max_memory_allocated(i) for i in range(torch.cuda.device_count())))


class Devices:
    """A generator on several devices, in a process each."""

    def __init__(self, generator: Generator, devices: Sequence[str]) -> None:
        """Put the generator on the devices; no process is started yet.

        Raises:
            ConfigError: it can't be put there.
        """
        names = [name if devices.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(devices, start=1)]
        self._devices = [_Device(n, on_device(generator, d)) for n, d in zip(names, devices, strict=True)]
        self._refused: dict[str, tuple[set[str], Failure]] = {}
        """By case, the devices that had no memory for it, and the last one's answer."""
        self._ended: dict[str, list[str]] = {}
        """By case, the devices that ended at it."""
        self._problems: dict[str, None] = {}

    @property
    def problems(self) -> tuple[str, ...]:
        """Faults of devices, and what the generator noted in their processes."""
        return tuple(self._problems)

    @property
    def memory(self) -> int:
        """The most bytes of GPU memory that a device has held."""
        return max(device.memory for device in self._devices)

    def answers(self, chunks: Sequence[Sequence[Case]]) -> Yields[tuple[Case, Video | Failure], None, None]:
        """Yield each case with its answer, as they come; see `generator.answers`. A device waits while its answer is not taken.

        Raises:
            ConfigError, ManifestError, OSError: as there.
        """
        waiting = deque(list(chunk) for chunk in chunks)
        try:
            while True:
                for device in self._devices:
                    if device.is_free and (cases := self._taken(device, waiting)):
                        device.give(cases)
                busy = {d.connection: d for d in self._devices if d.connection is not None and d.cases is not None}
                if not busy:
                    break
                for connection in wait(list(busy)):
                    assert isinstance(connection, Connection)
                    yield from self._received(busy[connection], waiting)
        finally:
            for device in self._devices:
                device.end()
        lost = Failure(f"no device is left: {'; '.join(self._problems)}", technical=True)
        for case in (case for cases in waiting for case in cases):
            yield case, self._refused[case.id][1] if case.id in self._refused else lost

    def _taken(self, device: _Device, waiting: deque[list[Case]]) -> list[Case]:
        """Return the first chunk that a device has not refused, [] where there is none."""
        for i, cases in enumerate(waiting):
            if not any(device.name in self._refused[c.id][0] for c in cases if c.id in self._refused):
                del waiting[i]
                return cases
        return []

    def _received(self, device: _Device, waiting: deque[list[Case]]) -> Iterator[tuple[Case, Video | Failure]]:
        assert device.connection is not None
        assert device.cases is not None
        try:
            message = device.connection.recv()
        except (EOFError, OSError):
            yield from self._lost(device, waiting)
            return
        if isinstance(message, BaseException):
            raise message
        if message is None:
            device.cases = None
            return
        name, answer, problems, device.memory = message
        self._problems |= dict.fromkeys(problems)
        case = device.cases.pop(name, None) or device.answered[name]
        device.answered[name] = case
        if isinstance(answer, Failure) and answer.technical and _OUT_OF_MEMORY.search(answer.reason):
            refused = {device.name} | (self._refused[name][0] if name in self._refused else set())
            self._refused[name] = refused, answer
            if any(not d.retired and d.name not in refused for d in self._devices):
                self._problems[f"device {device.name} ran out of memory; others were given the case"] = None
                waiting.appendleft([case])
                return
        elif isinstance(answer, Video) and name in self._refused:
            # The case is none too large: the device is at fault, as one that somebody else uses.
            for other in self._devices:
                if other.name in self._refused[name][0] and not other.retired:
                    other.retired = True
                    self._problems[f"device {other.name} has less memory than others: it got no more cases"] = None
        yield case, answer

    def _lost(self, device: _Device, waiting: deque[list[Case]]) -> Iterator[tuple[Case, Failure]]:
        """Give the cases of a device that has ended to the others; the first of them is the one that it worked on."""
        left = list((device.cases or {}).values())
        code = device.end(_PATIENCE_S)
        self._problems[f"device {device.name} ended (exit code {code}); others were given its cases"] = None
        if left:
            ends = self._ended.setdefault(left[0].id, [])
            ends.append(device.name)
            if len(ends) >= _ENDS:
                yield left.pop(0), Failure(f"devices {' and '.join(ends)} ended at this case", technical=True)
        if left:
            # Alone, so that it takes no other with it.
            waiting.extendleft([left[1:], left[:1]] if left[1:] else [left])


class _Device:
    """The process of a device."""

    def __init__(self, name: str, generator: Generator) -> None:
        self.name = name
        self.cases: dict[str, Case] | None = None
        """Cases that it works on and has not answered; None where it has nothing to do."""
        self.answered: dict[str, Case] = {}
        self.connection: Connection | None = None
        self.memory = 0
        self.retired = False
        self._generator = generator
        self._process: Any = None

    @property
    def is_free(self) -> bool:
        return not self.retired and self.cases is None

    def give(self, cases: Sequence[Case]) -> None:
        """Give it cases; its process is started with the first.

        Raises:
            ConfigError: the generator can't be sent to a process.
        """
        if self.connection is None:
            self._start()
        assert self.connection is not None
        self.cases, self.answered = {case.id: case for case in cases}, {}
        with suppress(OSError):  # it has ended: that is seen when it is read from
            self.connection.send(list(cases))

    def _start(self) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(self._generator, theirs))
        try:
            process.start()
        except (PicklingError, AttributeError, TypeError) as error:
            self.connection.close()
            self.connection = None
            raise ConfigError(f"devices: the generator can't be sent to a process ({one_line(error)})") from error
        finally:
            theirs.close()
        self._process = process

    def end(self, patience_s: float = 0.2) -> int | None:
        """End the process, which takes no more cases, and return its exit code."""
        self.retired = True
        if self.connection is None:
            return None
        self.connection.close()
        self.connection = self.cases = None
        self._process.join(patience_s)
        self._process.kill()
        self._process.join()
        return int(self._process.exitcode)


def _serve(generator: Generator, connection: Connection) -> None:
    """Answer lists of cases until the other end is closed."""
    # An interrupt from the keyboard reaches every process; the one that started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    try:
        while True:
            cases = connection.recv()
            try:
                for case, answer in answers(generator, cases):
                    connection.send((case.id, answer, list(getattr(generator, "problems", ())), gpu_memory()))
                connection.send(None)
            except ConnectionError:
                raise
            except Exception as error:
                connection.send(error)
    except (EOFError, ConnectionError):
        return
