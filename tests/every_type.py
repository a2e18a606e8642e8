"""A pipeline with a parameter of every type that there is; tests copy it into their folder."""

import datetime
import enum
from pathlib import Path
from typing import Annotated, Literal

from baton import Dag, Json, Parameters, TaskContext, TaskError, parameter, task


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Tree(Parameters, frozen=True):
    depth: Annotated[int, parameter("levels", ge=1)] = 3
    leaves: int = 4


class Model(Parameters, frozen=True):
    tree: Tree = Tree(depth=7)
    weights: list[float] = []  # noqa: RUF012  # msgspec copies it


class EveryType(Parameters, frozen=True):
    months: Annotated[tuple[Annotated[int, parameter("", ge=1, le=12)], ...], parameter("months")] = (1, 2)
    names: list[str] = []  # noqa: RUF012
    pair: tuple[int, str] = (1, "a")
    colours: tuple[Colour, ...] = (Colour.RED,)
    colour: Colour = Colour.RED
    level: Level | None = None
    out: Path = Path("out")
    outs: tuple[Path, ...] = ()
    day: datetime.date = datetime.date(2021, 1, 31)
    at: datetime.datetime | None = None
    clock: datetime.time = datetime.time(12)
    mode: Literal["slow", "fast"] = "fast"
    size: Literal[8, 1] = 8
    maybe: Literal["a", "b"] | None = None
    rate: Annotated[float, parameter("a rate", gt=0)] | None = None
    fast: bool = False
    model: Model = Model()


@task
def seen(
    months: tuple[int, ...],
    names: list[str],
    pair: tuple[int, str],
    colours: tuple[Colour, ...],
    colour: Colour,
    level: Level | None,
    out: Path,
    outs: tuple[Path, ...],
    day: datetime.date,
    at: datetime.datetime | None,
    clock: datetime.time,
    mode: Literal["slow", "fast"],
    size: Literal[8, 1],
    maybe: Literal["a", "b"] | None,
    rate: float | None,
    model: Model,
) -> Json:
    """Return every parameter as the task got it."""
    return {name: repr(value) for name, value in locals().items()}


@task
def passed(seen: Json, fast: bool) -> Json:
    """Fail unless it is to be fast."""
    if not fast:
        raise TaskError("it is slow", "--fast true")
    return seen


@task(effect=True)
def told(passed: Json, context: TaskContext) -> None:
    """Tell them at the end."""
    for name, text in passed.items():
        context.fact(name, text)


dag = Dag("every_type", [seen, passed, told], parameters=EveryType)
