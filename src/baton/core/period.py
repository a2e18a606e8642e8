"""The period of a pipeline: which of its parameters hold the year, month or day of a run."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from baton.core.parameters import leaves
from baton.errors import UsageError

if TYPE_CHECKING:
    from baton.core.parameters import Parameters

_PARTS = ("year", "month", "day")


@dataclass(frozen=True, slots=True)
class Period:
    """A run covers one year, month or day, held by the parameters named here.

    Parameters
    ----------
    unit : str
        ``"year"``, ``"month"`` or ``"day"``.
    parameters : sequence of str
        Names of whole-number parameters, one per part down to the unit: year, month, day.  Or the
        name of one parameter of type `datetime.date`, which holds the first day of the period.
    lag : int
        How many periods a run lies behind its scheduled moment, for engines whose schedules are
        moments rather than intervals.

    Examples
    --------
    >>> monthly = Period("month", ("year", "month"), lag=2)
    >>> monthly.before(datetime.datetime(2021, 3, 1, 6, tzinfo=datetime.UTC))
    {'year': 2021, 'month': 1}
    >>> [monthly.name_of(one) for one in monthly.between("2020-12", "2021-01")]
    ['2020-12', '2021-01']
    """

    unit: Literal["year", "month", "day"]
    parameters: Sequence[str]
    lag: int = 0

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of a period's name: year, month, day, down to the unit."""
        return _PARTS[: _PARTS.index(self.unit) + 1]

    def problems(self, declared: type[Parameters]) -> Iterator[str]:
        """Yield what does not match the pipeline's parameters."""
        types = {leaf.name: leaf.plain_type for leaf in leaves(declared)}
        for name in self.parameters:
            if name not in types:
                yield f"its period names '{name}', which is not a parameter"
        if any(name not in types for name in self.parameters) or self._is_one_date(types):
            return
        if len(self.parameters) != len(self.parts) or any(types[name] is not int for name in self.parameters):
            yield (
                f"a period of one {self.unit} takes whole numbers for {', '.join(self.parts)}, "
                "or one parameter of type datetime.date"
            )

    def at(self, moment: datetime.date) -> dict[str, Any]:
        """Return the parameters of the period that contains a moment; a moment with a zone counts in UTC."""
        if isinstance(moment, datetime.datetime):
            moment = (moment.astimezone(datetime.UTC) if moment.tzinfo else moment).date()
        if len(self.parameters) != len(self.parts):
            return {self.parameters[0]: self._first_day(moment).isoformat()}
        found = (moment.year, moment.month, moment.day)
        return dict(zip(self.parameters, found, strict=False))

    def before(self, moment: datetime.date, lag: int | None = None) -> dict[str, Any]:
        """Return the parameters of the period `lag` periods before the moment's (default: as declared)."""
        if isinstance(moment, datetime.datetime):
            moment = (moment.astimezone(datetime.UTC) if moment.tzinfo else moment).date()
        return self.at(self._moved(self._first_day(moment), -(self.lag if lag is None else lag)))

    def between(self, first: str, last: str) -> list[dict[str, Any]]:
        """Return the parameters of all periods from `first` to `last`, both named as by `name_of`.

        Raises
        ------
        UsageError
            If a name is invalid, or `last` comes before `first`.
        """
        begins, ends = self._day_of(first), self._day_of(last)
        if ends < begins:
            raise UsageError(f"{last} comes before {first}", "put the earlier period first")
        found = []
        while begins <= ends:
            found.append(self.at(begins))
            begins = self._moved(begins, 1)
        return found

    def name_of(self, given: Mapping[str, Any]) -> str:
        """Return a period's name, such as ``"2021-01"``, from the values of its parameters."""
        if len(self.parameters) != len(self.parts):
            day = given[self.parameters[0]]
            text = day if isinstance(day, str) else day.isoformat()
            return "-".join(text.split("-")[: len(self.parts)])
        return "-".join(f"{int(given[name]):02d}" for name in self.parameters)

    def completed(self, given: Mapping[str, Any], implied: Mapping[str, Any]) -> dict[str, Any]:
        """Return no parameters if `given` has all of the period's, else the implied ones.

        Raises
        ------
        UsageError
            If `given` has some of them but not all.
        """
        missing = [name for name in self.parameters if given.get(name) is None]
        if missing and len(missing) < len(self.parameters):
            wanted = " and ".join(self.parameters)
            raise UsageError(f"missing parameter {missing[0]}", f"set {wanted}, or neither")
        return dict(implied) if missing else {}

    def _is_one_date(self, types: Mapping[str, Any]) -> bool:
        return len(self.parameters) == 1 and types[self.parameters[0]] is datetime.date

    def _first_day(self, day: datetime.date) -> datetime.date:
        if self.unit == "day":
            return day
        return day.replace(day=1) if self.unit == "month" else day.replace(month=1, day=1)

    def _moved(self, day: datetime.date, periods: int) -> datetime.date:
        if self.unit == "day":
            return day + datetime.timedelta(days=periods)
        months = day.year * 12 + day.month - 1 + periods * (1 if self.unit == "month" else 12)
        return datetime.date(months // 12, months % 12 + 1, 1)

    def _day_of(self, name: str) -> datetime.date:
        parts = name.split("-")
        try:
            if len(parts) != len(self.parts) or not all(part.isascii() and part.isdigit() for part in parts):
                raise ValueError
            year, month, day = [*map(int, parts), 1, 1][:3]
            return datetime.date(year, month, day)
        except ValueError:
            example = "-".join(("2021", "01", "31")[: len(self.parts)])
            raise UsageError(f"'{name}' is not a {self.unit}", f"write it as {example}") from None
