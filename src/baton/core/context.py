"""What a running task can use besides its inputs and parameters."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from pathlib import Path

from baton.core.events import Reporter, TaskLogged, TaskProgressed, ignore_events
from baton.core.pruning import Bar
from baton.errors import Skip


@dataclass(frozen=True, slots=True)
class Provenance:
    """What an effect can tell the outside world about its run.

    Parameters
    ----------
    run_id, pipeline, engine : str
        The run, the pipeline's name and the engine's name.
    parameters : dict of str to object
        Every parameter by its short name.
    digests : dict of str to str
        Digest of every artifact made so far in this run, by artifact name.
    code_digest : str
        Digest of the code that the pipeline's tasks can reach.
    """

    run_id: str = ""
    pipeline: str = ""
    engine: str = ""
    parameters: dict[str, object] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    code_digest: str = ""


@dataclass(frozen=True, slots=True)
class TaskContext:
    """Passed to a task that has an argument annotated ``TaskContext``.

    Nothing here may change what a pure task returns, because it is not part of the cache key.

    Parameters
    ----------
    task : str
        Name of the running task.
    scratch : Path
        An empty folder for this task run, deleted afterwards.
    data_dir : Path
        Folder that is kept between runs, for downloads; safe to delete at any time.
    models_dir : Path
        Folder for files that an effect leaves for people.
    project : Path
        The project's folder.
    provenance : Provenance
        What an effect can tell about the run; empty for a pure task.
    """

    task: str
    scratch: Path
    data_dir: Path
    models_dir: Path
    project: Path
    provenance: Provenance = field(default_factory=Provenance)
    report: Reporter = ignore_events
    facts: list[tuple[str, str]] = field(default_factory=list)
    products: list[Path] = field(default_factory=list)
    unremembered: list[str] = field(default_factory=list)
    curve: list[tuple[int, float]] = field(default_factory=list)
    bar: Bar | None = None

    @property
    def may_be_pruned(self) -> bool:
        """Whether `intermediate` may end the task, because it is part of a sweep that prunes."""
        return self.bar is not None

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Report progress in the task's own unit (bytes, rounds, files)."""
        self.report(TaskProgressed(self.task, done, total, message))

    def intermediate(self, value: float, step: int, *, maximise: bool = False) -> None:
        """Report how good the model is after a step of training, so that a sweep can end a hopeless trial.

        With ``baton sweep --prune-after``, the value is compared with those of earlier trials at the same
        step; elsewhere it is only kept.  Training cannot continue a pruned trial: let the exception through.

        Parameters
        ----------
        value : float
            For example the validation error.
        step : int
            The step, such as the number of rounds or epochs so far; increases from call to call.
        maximise : bool
            Whether a greater value is better.

        Raises
        ------
        Skip
            If the trial is hopeless.
        """
        sign = -1.0 if maximise else 1.0
        self.curve.append((step, sign * value if math.isfinite(value) else sys.float_info.max))
        reason = self.bar.verdict(self.curve, sign) if self.bar is not None else ""
        if reason:
            raise Skip(reason)

    def log(self, message: object) -> None:
        """Keep a line with the run, for ``baton logs``; ``baton run --verbose`` prints it, too."""
        self.report(TaskLogged(self.task, str(message)))

    def do_not_remember(self, reason: str) -> None:
        """Keep this result out of the cache, because the next attempt may give a better one."""
        self.unremembered.append(reason)
        self.log(f"the result is not cached: {reason}")

    def fact(self, label: str, value: object) -> None:
        """Report a result for people; it is shown at the end of the run, even if cached."""
        self.facts.append((label, str(value)))

    def product(self, path: Path) -> Path:
        """Declare a file that an effect leaves for people; if it is deleted, the effect reruns."""
        self.products.append(path.absolute())
        return path
