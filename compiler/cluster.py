"""Units go to the workers of a Ray cluster; their outcomes come back.

A file of its own because Ray is wanted only beyond one machine. Each worker is an actor of Ray Data
with an event loop and its own connection to the teacher. Replies go at once to the journal, through
an actor beside the driver, so a worker that dies takes no more with it than what was in flight, and
the next one goes on from the journal. Keys and outcomes are those of one process.
"""

import asyncio
import logging
import os
import pickle
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compiler.curriculum import TeacherSpec
from compiler.expand import Drop, Expander, Outcome, Sample, Tally
from compiler.expand.order import issue_order
from compiler.expand.print import print_of
from compiler.journal import Journal, JournalError
from compiler.lower import Unit
from compiler.pipeline import Pipeline
from compiler.teacher import Failure, Reply, Teacher
from compiler.teacher.flags import placed
from compiler.teacher.make import make_teacher

GROUP = 32
_BLOCKS_PER_WORKER = 4
_MOST_AT_ONCE = 1000
_AGAIN = 5.0  # seconds

_VLLM = "TRIVIUM_VLLM_PYTHON"
_Handle = Any  # of an actor, or of one of its methods
_Answer = Any

# What became of a unit: its number, samples, drops, count of records, failure, saturation.
_Parts = tuple[int, tuple[Sample, ...], tuple[Drop, ...], int, Failure | None, bool]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the workers are.

    `address` is that of a running cluster, "" starts one on this machine; `workers` of 0 takes one
    for each CPU; `gpus` is how many each worker has for a vLLM of its own.
    """

    address: str = ""
    workers: int = 0
    gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class Teachers:
    """Who is asked; `folder` is where a script's path counts from."""

    teacher: TeacherSpec
    judge: TeacherSpec
    folder: Path

    def made(self) -> tuple[Teacher, Teacher]:
        """The two, not connected; one and the same where they are alike."""
        teacher = make_teacher(self.teacher, self.folder, lambda text: None)
        if self.judge == self.teacher:
            return teacher, teacher
        return teacher, make_teacher(self.judge, self.folder, lambda text: None)


class Spread:
    """The engine of many processes."""

    def __init__(self, cluster: Cluster, teachers: Teachers, journal: Path) -> None:
        self.tally = Tally()
        self.teacher = self.judge = ""
        self._cluster = cluster
        folder = teachers.folder.resolve()
        self._teachers = Teachers(
            _placed(teachers.teacher, folder), _placed(teachers.judge, folder), folder
        )
        self._journal = journal.resolve()

    async def open(self) -> Failure | None:
        """Asks each endpoint what it serves, and joins or starts the cluster."""
        teacher, judge = self._teachers.made()
        for who, spec in {teacher: self._teachers.teacher, judge: self._teachers.judge}.items():
            if spec.kind == "openai":
                failure = await who.open()
                await who.close()
                if failure:
                    return failure
        self.teacher, self.judge = teacher.model, judge.model
        self._teachers = replace(
            self._teachers,
            teacher=_of_model(self._teachers.teacher, teacher.model),
            judge=_of_model(self._teachers.judge, judge.model),
        )
        await asyncio.to_thread(_join, self._cluster.address)
        return None

    async def run(
        self, units: Sequence[Unit], pipelines: Mapping[str, Pipeline]
    ) -> AsyncGenerator[Outcome]:
        """An Outcome for each unit, as its group of units is finished."""
        rows = await asyncio.to_thread(self._start, units, pipelines)
        while row := await asyncio.to_thread(_next, rows):
            tally, group, prints = pickle.loads(row["made"])
            self.tally.add(tally)
            for parts, made in zip(group, prints, strict=True):
                number, samples, drops, records, failure, saturated = parts
                unit = units[number]
                yield Outcome(number, unit, samples, drops, records, failure, made, saturated)

    def _start(
        self, units: Sequence[Unit], pipelines: Mapping[str, Pipeline]
    ) -> Iterator[dict[str, Any]]:
        import ray
        from ray.data import ActorPoolStrategy, from_items
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        keeper = (
            ray.remote(_Keeper)
            .options(num_cpus=0, scheduling_strategy=here, max_restarts=-1, max_task_retries=-1)
            .remote(str(self._journal))
        )
        workers = self._cluster.workers or max(1, round(_cpus()))
        shared = replace(
            self._teachers,
            teacher=_shared(self._teachers.teacher, workers),
            judge=_shared(self._teachers.judge, workers),
        )
        order = issue_order(units, 0)
        groups = [order[at : at + GROUP] for at in range(0, len(order), GROUP)]
        items = [{"units": pickle.dumps([(n, units[n]) for n in group])} for group in groups]
        named = (self._teachers.teacher.key_env, self._teachers.judge.key_env, _VLLM)
        keys = {name: os.environ[name] for name in named if name in os.environ}
        walked = (
            from_items(items, override_num_blocks=min(len(items), workers * _BLOCKS_PER_WORKER))
            .map(
                _Walker,  # type: ignore[arg-type]  # Ray Data takes a class whose calls are coroutines
                fn_constructor_args=(shared, dict(pipelines), keeper, keys),
                compute=ActorPoolStrategy(size=workers, max_concurrent_calls_per_actor=2),
                num_cpus=0.75,
                num_gpus=self._cluster.gpus or None,
            )
            .map(_printed, num_cpus=0.25)
        )
        return iter(walked.iter_rows())

    async def close(self) -> None:
        import ray

        await asyncio.to_thread(ray.shutdown)


def _next(rows: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    """The next of the rows; what the journal says of a full disk is said here too."""
    try:
        return next(rows, None)
    except Exception as wrong:
        cause: BaseException | None = wrong
        while cause and not isinstance(cause, JournalError):
            cause = getattr(cause, "cause", None) or cause.__cause__
        raise cause or wrong from wrong


def _placed(spec: TeacherSpec, folder: Path) -> TeacherSpec:
    """The same vLLM, its model's folder found from any worker's folder."""
    return placed(spec, folder) if spec.kind == "vllm" else spec


def _of_model(spec: TeacherSpec, model: str) -> TeacherSpec:
    """The same endpoint with the model that it serves, so that no worker has to ask."""
    return replace(spec, model=model) if spec.kind == "openai" else spec


def _shared(spec: TeacherSpec, workers: int) -> TeacherSpec:
    """A worker's part of what a provider allows; of a vLLM of its own it has all."""
    if spec.kind != "openai":
        return spec
    return replace(
        spec,
        in_flight=max(1, spec.in_flight // workers),
        requests_per_minute=spec.requests_per_minute / workers,
        tokens_per_minute=spec.tokens_per_minute / workers,
    )


def _cpus() -> float:
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return resources.get("CPU", 1.0)


def _join(address: str) -> None:
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its C++ core writes to the terminal
    import ray
    from ray.data import DataContext

    where = {"address": address} if address else {"include_dashboard": False}
    ray.init(**where, ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    DataContext.get_current().enable_progress_bars = False


def _printed(row: Mapping[str, bytes]) -> dict[str, bytes]:
    """The stage after the walk: the part of sifting that looks at one sample alone."""
    tally, group = pickle.loads(row["made"])
    prints = [tuple(map(print_of, samples)) for _, samples, *_ in group]
    return {"made": pickle.dumps((tally, group, prints))}


class _Keeper:
    """The actor beside the driver: the only process that opens the journal."""

    def __init__(self, path: str) -> None:
        self._journal = Journal(Path(path))

    def find(self, keys: Sequence[str]) -> list[Reply | Failure | None]:
        found = self._journal.get_many(keys)
        return [found.get(key) for key in keys]

    async def keep(
        self, items: Sequence[tuple[str, str, Reply | Failure]]
    ) -> list[Reply | Failure]:
        return list(await asyncio.gather(*(self._journal.keep(*item) for item in items)))


class _Bundle:
    """Gathers the calls of one loop into few calls of an actor: each costs a millisecond."""

    def __init__(self, method: _Handle) -> None:
        self._method = method
        self._waiting: list[tuple[Any, asyncio.Future[Any]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def ask(self, item: object) -> _Answer:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return await answer

    async def _send(self) -> None:
        while self._waiting:
            bundle, self._waiting = (
                self._waiting[:_MOST_AT_ONCE],
                self._waiting[_MOST_AT_ONCE:],
            )
            try:
                answers = await self._method.remote([item for item, _ in bundle])
            except Exception as wrong:  # each caller has to know
                for _, waiting in bundle:
                    with suppress(asyncio.InvalidStateError):
                        waiting.set_exception(wrong)
                continue
            for (_, waiting), answer in zip(bundle, answers, strict=True):
                if not waiting.done():
                    waiting.set_result(answer)
        self._sending = None


class _Distant:
    """The journal as a worker sees it."""

    def __init__(self, keeper: _Handle) -> None:
        self._finds = _Bundle(keeper.find)
        self._keeps = _Bundle(keeper.keep)

    async def find(self, key: str) -> Reply | Failure | None:
        found: Reply | Failure | None = await self._finds.ask(key)
        return found

    async def keep(self, key: str, model: str, reply: Reply | Failure) -> Reply | Failure:
        kept: Reply | Failure = await self._keeps.ask((key, model, reply))
        return kept


class _Walker:
    """One worker: groups of units go in, what became of them comes out."""

    def __init__(
        self,
        teachers: Teachers,
        pipelines: Mapping[str, Pipeline],
        keeper: _Handle,
        keys: Mapping[str, str],
    ) -> None:
        os.environ.update(keys)
        self._teacher, self._judge = teachers.made()
        self._patience = teachers.teacher.deadline
        self._pipelines = pipelines
        self._keeper = keeper
        self._expander: Expander | None = None
        self._opening: asyncio.Task[Failure | None] | None = None
        self._retried = 0

    async def __call__(self, row: Mapping[str, bytes]) -> dict[str, bytes]:
        numbers, units = zip(*pickle.loads(row["units"]), strict=True)
        if failure := await self._open():
            parts: list[_Parts] = [(number, (), (), 0, failure, False) for number in numbers]
            return {"made": pickle.dumps((Tally(), parts))}
        assert self._expander is not None
        parts = [
            (numbers[o.number], o.samples, o.drops, o.records, o.failure, o.saturated)
            async for o in self._expander.run(units, self._pipelines, range(len(units)))
        ]
        return {"made": pickle.dumps((self._since(), parts))}

    def _since(self) -> Tally:
        """What was asked since this was said last; groups are walked side by side."""
        assert self._expander is not None
        tally, self._expander.tally = self._expander.tally, Tally()
        retried = sum(getattr(who, "retried", 0) for who in {self._teacher, self._judge})
        tally.retried, self._retried = retried - self._retried, retried
        return tally

    async def _open(self) -> Failure | None:
        """Connects once, however many groups come at the same time; a server that is away may come
        back.
        """
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect())
        return await self._opening

    async def _connect(self) -> Failure | None:
        until = time.monotonic() + self._patience
        for who in dict.fromkeys((self._teacher, self._judge)):
            while failure := await who.open():
                if time.monotonic() > until:
                    return failure
                await who.close()
                await asyncio.sleep(_AGAIN)
        self._expander = Expander(self._teacher, self._judge, _Distant(self._keeper))
        return None
