"""Kinds, bad ones and a good one, in a module that a fresh process imports quickly."""

from __future__ import annotations

import pickle
import sys
import time
import zipfile

from baton import EstimatorKind, Kind


def scale(number: float) -> float:
    return 2 * number


class PickleKind(Kind):
    """Writes pickles, and says nothing of the code inside."""

    name = "pickle"

    @classmethod
    def write(cls, value, path):
        path.write_bytes(pickle.dumps(value, protocol=4))

    @classmethod
    def read(cls, path):
        return pickle.loads(path.read_bytes())


class HonestPickleKind(PickleKind):
    """Writes pickles, and names the function inside."""

    @classmethod
    def code(cls, value):
        return [value["function"]]


class UnorderedKind(PickleKind):
    """Writes the items of a set in whatever order they come."""

    @classmethod
    def write(cls, value, path):
        path.write_text("\n".join(value))

    @classmethod
    def read(cls, path):
        return set(path.read_text().splitlines())


class ZippedKind(Kind):
    """Keeps the time of writing."""

    name = "zipped"

    @classmethod
    def write(cls, value, path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo("value", time.localtime()[:6]), value)

    @classmethod
    def read(cls, path):
        with zipfile.ZipFile(path) as archive:
            return archive.read("value").decode()


class ForgetfulKind(Kind):
    """Reads something else than it wrote."""

    name, suffix = "forgetful", ".json"

    @classmethod
    def write(cls, value, path):
        path.write_text(repr(value))

    @classmethod
    def read(cls, path):
        return int(path.read_text()) + 1


class BrokenKind(Kind):
    """Cannot be written."""

    name = "broken"


class InterpreterKind(Kind):
    """Keeps where it was written, and reads it wherever that was."""

    name = "interpreter"

    @classmethod
    def write(cls, value, path):
        path.write_text(f"{sys.prefix}\n{value}")

    @classmethod
    def read(cls, path):
        return path.read_text().partition("\n")[2]


class LoyalKind(InterpreterKind):
    """Reads only what the same interpreter wrote."""

    @classmethod
    def read(cls, path):
        if path.read_text().partition("\n")[0] != sys.prefix:
            raise ValueError("not written here")
        return super().read(path)


class ScaledKind(EstimatorKind):
    """Estimators that hold a function of the project's own."""

    trusted = (scale,)
