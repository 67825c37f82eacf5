"""Which file is done when: skips what is finished, tries again what was lost, accounts for all.

Knows neither how a job is done nor where: that is the executor's.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli.batch.executor import (
    Advanced,
    Executor,
    Failed,
    Finished,
    Incomplete,
    Logged,
    Lost,
    Message,
    Task,
)
from cli.batch.overview import Overview
from cli.batch.results import Outcome, Result, printable
from cli.batch.supplies import Supply
from cli.batch.units import Unit
from cli.jobs.job import Job
from cli.jobs.record import is_finished, is_untouched, read_record
from cli.jobs.reporting import broken_limits

_log = logging.getLogger(__name__)

# A worker that dies twice over the same file dies of it.
_MOST_TRIES = 2

# How long to wait for workers before looking at the supply again.
_SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """One unit's turn. number: 1 for the first."""

    unit: Unit
    number: int = 1


class Coordinator:
    """Does the units of a supply with an executor; `results` tells what became of them.

    wishes: a job whose source and target, two folders, are replaced by the files of each unit; its
        report is a folder too.
    """

    def __init__(self, supply: Supply, executor: Executor, overview: Overview, wishes: Job) -> None:
        self._supply, self._executor, self._overview = supply, executor, overview
        self._wishes = wishes
        self._waiting: deque[_Attempt] = deque()
        self._under_way: dict[int, _Attempt] = {}
        self._tasks = 0
        self._results: dict[str, Result] = {}
        self._told: set[str] = set()

    @property
    def results(self) -> Sequence[Result]:
        """One for each file that was found, in the order in which they were found."""
        return list(self._results.values())

    def run(self) -> None:
        """Return once all is done that ever will be; what failed is in the results.

        KeyboardInterrupt ends the work in order, and is raised again.
        """
        try:
            with self._executor, self._overview:
                self._overview.workers = self._executor.capacity
                while self._supply.is_open or self._waiting or self._under_way:
                    self._take()
                    self._begin()
                    if self._supply.is_open or self._under_way:
                        for message in self._executor.wait(_SECONDS_BETWEEN_LOOKS):
                            self._receive(message)
        finally:
            self._account_for_the_rest()

    def _take(self) -> None:
        units = self._supply.take()
        self._overview.expect(len(units))
        for unit in units:
            # Keeps the order of the results, whatever ends first.
            self._results.setdefault(unit.name, _result(unit, Outcome.STOPPED))
            self._waiting.append(_Attempt(unit=unit))
        for folder in self._supply.unreadable():
            self._overview.expect(1)
            reason = f"the folder {folder} may not be looked into; change its permissions"
            self._end(
                Result(name=f"{folder}/", outcome=Outcome.FAILED, source=folder, reason=reason)
            )

    def _begin(self) -> None:
        while len(self._under_way) < self._executor.capacity and (attempt := self._next()):
            job = self._job(attempt)
            if is_finished(job):
                # In an earlier run; or by a worker that died before it could say so.
                outcome = Outcome.SKIPPED if attempt.number == 1 else Outcome.DONE
                broken = broken_limits(job)
                self._end(
                    _finished(attempt, outcome)
                    if broken is None
                    else _result(attempt.unit, Outcome.FAILED, broken, attempt.number)
                )
                continue
            self._tasks += 1
            self._under_way[self._tasks] = attempt
            self._executor.submit(Task(number=self._tasks, job=job, may_grow=self._supply.may_grow))

    def _next(self) -> _Attempt | None:
        """The first that waits; not a file that has changed while it is still under way."""
        at_work = {attempt.unit.name for attempt in self._under_way.values()}
        for attempt in self._waiting:
            if attempt.unit.name not in at_work:
                self._waiting.remove(attempt)
                return attempt
        return None

    def _job(self, attempt: _Attempt) -> Job:
        unit, wishes = attempt.unit, self._wishes
        is_again = attempt.number > 1
        if unit.is_picture:  # codecs, parts and figures are for movies
            delivery = replace(wishes.delivery, codec=None, editor=None)
            wishes = replace(wishes, delivery=delivery, limits=(), time_range=None, splices=False)
        return replace(
            wishes,
            source=unit.source,
            target=unit.target,
            report=_report(wishes, unit),
            # Nobody is there to say so; who wants to begin anew says --overwrite.
            resumes=wishes.resumes or not wishes.overwrites or is_again,
            overwrites=wishes.overwrites or is_again or is_untouched(unit.target),
        )

    def _receive(self, message: Message) -> None:
        match message:
            case Advanced(task=task, status=status):
                if task in self._under_way:  # news may come later than the end
                    self._overview.advance(task, status)
            case Logged(record=record):
                self._log(record)
            case Finished(task=task, frames=frames, seconds=seconds):
                attempt = self._ended(task)
                result = _finished(attempt, Outcome.DONE)
                self._end(replace(result, frames=frames, seconds=seconds))
            case Incomplete(task=task, reason=reason):
                attempt = self._ended(task)
                self._end(_result(attempt.unit, Outcome.WAITING, reason))
            case Failed(task=task, reason=reason, trace=trace):
                attempt = self._ended(task)
                _log.debug("%s", trace)
                self._end(_result(attempt.unit, Outcome.FAILED, reason, attempt.number))
            case Lost(task=task, reason=reason):
                self._try_again(self._ended(task), reason)

    def _try_again(self, attempt: _Attempt, reason: str) -> None:
        name = printable(attempt.unit.name)
        if attempt.number < _MOST_TRIES:
            _log.warning("%s is tried once more: %s", name, reason)
            self._waiting.appendleft(replace(attempt, number=attempt.number + 1))
            return
        reason = f"{reason}; tried {attempt.number} times"
        self._end(_result(attempt.unit, Outcome.FAILED, reason, attempt.number))

    def _ended(self, task: int) -> _Attempt:
        self._overview.drop(task)
        return self._under_way.pop(task)

    def _end(self, result: Result) -> None:
        self._results[result.name] = result
        self._overview.end(result)
        name = printable(result.name)
        if result.outcome is Outcome.DONE:
            frames = "1 frame" if result.frames == 1 else f"{result.frames} frames"
            _log.info("%s: %s in %.1f s", name, frames, result.seconds)
        elif result.outcome is Outcome.WAITING:
            _log.info("%s is taken once it is complete: %s", name, result.reason)
        elif result.outcome is Outcome.FAILED:
            _log.warning("%s failed: %s", name, printable(result.reason or ""))

    def _log(self, record: logging.LogRecord) -> None:
        """A worker's record, as if it were ours; facts that all workers tell are told once."""
        if record.levelno <= logging.INFO:
            if record.getMessage() in self._told:
                return
            self._told.add(record.getMessage())
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)

    def _account_for_the_rest(self) -> None:
        """What was under way when all ended may have come to its end unheard."""
        for attempt in self._under_way.values():
            if is_finished(self._job(attempt)):
                self._results[attempt.unit.name] = _finished(attempt, Outcome.DONE)
            else:
                stopped = _result(attempt.unit, Outcome.STOPPED, tries=attempt.number)
                self._results[attempt.unit.name] = stopped
        for attempt in self._waiting:
            self._results[attempt.unit.name] = _result(attempt.unit, Outcome.STOPPED)


def _report(wishes: Job, unit: Unit) -> Path | None:
    """A page for each movie, in a folder that is built as the sources are."""
    if wishes.report is None or unit.is_picture:
        return None
    return wishes.report / f"{unit.name}.html"


def _result(unit: Unit, outcome: Outcome, reason: str | None = None, tries: int = 0) -> Result:
    return Result(
        name=unit.name,
        outcome=outcome,
        source=unit.source,
        target=unit.target,
        tries=tries,
        reason=reason,
    )


def _finished(attempt: _Attempt, outcome: Outcome) -> Result:
    """From the record of what is there, its warnings too; the time only if it was spent now."""
    record = read_record(attempt.unit.target)
    output: Mapping[str, Any] = {} if record is None else record.output
    seconds = None if record is None else record.timing.get("seconds")
    is_now = outcome is Outcome.DONE
    return replace(
        _result(attempt.unit, outcome, tries=attempt.number - (not is_now)),
        frames=output.get("frames"),
        seconds=seconds if is_now else None,
        reason=" ".join(output.get("warnings") or ()) or None,
    )
