"""ConfigSpace's JSON file becomes a `[space]` table, or one message says what is not known here.

Both layouts are read: that of ConfigSpace 0.4 to 0.7 (`default`, `q`, a relation's `lambda`) and
that of 1.0 (`default_value`, `RELATION_LT`). Ranges of a normal distribution have its mean as their
prior. Defaults are left out: `[searcher] first` has what is to be tried first.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpmpi.errors import SettingsError
from hpmpi.study.schema import Table

SMALLER = {"LESS": "<", "LT": "<", "EQ": "==", "EQUALS": "==", "GREATER": ">", "GT": ">"}
"""How two hyperparameters are compared, by the ends of the names of relations."""


class UnknownError(Exception):
    """What has no word in `[space]`."""


def read(path: Path) -> Table:
    """Read a file; raises SettingsError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return table_of(content)
    except OSError as error:
        raise SettingsError([f"space: {path} can't be read: {error.strerror}"]) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError([f"space: {path} is not JSON: {error}"]) from error
    except UnknownError as error:
        raise SettingsError([f"space: {path}: {error}"]) from error
    except (KeyError, TypeError, AttributeError) as error:
        why = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise SettingsError([f"space: {path} is no file of ConfigSpace's: {why}"]) from error


def table_of(content: Any) -> Table:
    """Turn what a file has into a table; raises UnknownError, and others for no such file."""
    table: Table = {}
    for item in content["hyperparameters"]:
        if not isinstance(item["name"], str):
            raise UnknownError(f"{item['name']!r} is no name")
        table[item["name"]] = hyperparameter(item)
    for condition in content.get("conditions", []):
        add_condition(table, condition)
    clauses = [f"not ({clause(it)})" for it in content.get("forbiddens", [])]
    return {**table, "constraints": clauses} if clauses else table


def hyperparameter(item: Table) -> Table:
    """Turn a hyperparameter into its table."""
    kind, name = item["type"], item["name"]
    shape, _, number = kind.partition("_")
    if shape in ("uniform", "normal") and number in ("float", "int"):
        return {**ranged(item, number), **(mean_of(item, number) if shape == "normal" else {})}
    if kind in ("categorical", "ordinal"):
        if any(weight != (item.get("weights") or [1])[0] for weight in item.get("weights") or []):
            raise UnknownError(f"{name} has weights; every choice is as likely here: take them out")
        values = list(item["choices" if kind == "categorical" else "sequence"])
        entry: Table = {"type": "choice" if kind == "categorical" else "ordinal"}
        if None in values:
            entry["optional"] = True
            values.remove(None)
        return {**entry, "values": values}
    if kind in ("constant", "unparametrized"):
        return {"type": "choice", "values": [item["value"]]}
    raise UnknownError(f"{name} is of type {kind!r}, which is not known here")


def ranged(item: Table, number: str) -> Table:
    """Turn a range into a table, whatever is how likely in it."""
    if item.get("lower") is None or item.get("upper") is None:
        raise UnknownError(f"{item['name']} has no lower and upper bound; give it both")
    cast: Callable[[Any], Any] = int if number == "int" else float
    entry = {"type": number, "low": cast(item["lower"]), "high": cast(item["upper"])}
    if item.get("log"):
        entry["log"] = True
    if item.get("q") is not None:
        entry["step"] = cast(item["q"])
    return entry


def mean_of(item: Table, number: str) -> Table:
    """Have the mean of a normal distribution as a prior."""
    if item.get("log"):
        raise UnknownError(f"{item['name']} is normal by its logarithm; make it uniform")
    mean = min(max(item["mu"], item["lower"]), item["upper"])
    return {"prior": round(mean) if number == "int" else float(mean)}


def add_condition(table: Table, item: Table) -> None:
    """Add a condition to the table of its child; all that it has must hold."""
    if item["type"] == "AND":
        for part in item["conditions"]:
            add_condition(table, {"child": item.get("child"), **part})
        return
    child, parent = item["child"], item["parent"]
    when = table[child].setdefault("when", {})
    valid = valid_of(table[parent], item)
    if parent not in when:
        when[parent] = valid
    elif isinstance(valid, dict) and isinstance(when[parent], dict):
        when[parent] = merged(when[parent], valid)
    elif isinstance(valid, list) and isinstance(when[parent], list):
        when[parent] = [value for value in when[parent] if value in valid]
    else:
        raise UnknownError(f"{child} has two conditions on {parent}, of which one is a range")


def merged(one: Table, other: Table) -> Table:
    """Have both ranges hold."""
    lows = [it["min"] for it in (one, other) if "min" in it]
    highs = [it["max"] for it in (one, other) if "max" in it]
    return {**({"min": max(lows)} if lows else {}), **({"max": min(highs)} if highs else {})}


def valid_of(parent: Table, item: Table) -> Any:
    """Say what a parent must be: a list of values, or a range."""
    kind = item["type"]
    values = parent.get("values")
    match kind:
        case "EQ":
            return [item["value"]]
        case "IN":
            return list(item["values"])
        case "NEQ" if values is not None:
            return [value for value in values if value != item["value"]]
        case "GT" | "LT" if values is not None and parent["type"] == "ordinal":
            place = values.index(item["value"])
            return values[place + 1 :] if kind == "GT" else values[:place]
        case "GT" | "LT" if values is None:
            return {"min" if kind == "GT" else "max": beside(item["value"], kind, parent["type"])}
        case _:
            raise UnknownError(
                f"{item['child']} has a condition of type {kind!r} on {item['parent']}, which is "
                "not known here: one may say EQ, IN, AND; GT and LT of ranges; NEQ of choices"
            )


def beside(value: Any, kind: str, number: str) -> Any:
    """Find the next number: ends are valid here, and not there."""
    if number == "int":
        return math.floor(value) + 1 if kind == "GT" else math.ceil(value) - 1
    return math.nextafter(value, math.inf if kind == "GT" else -math.inf)


def clause(item: Table) -> str:
    """Write what is forbidden as an expression."""
    kind = item["type"]
    match kind:
        case "AND":
            return " and ".join(f"({clause(part)})" for part in item["clauses"])
        case "OR":
            return " or ".join(f"({clause(part)})" for part in item["clauses"])
        case "EQUALS":
            return f"{named(item['name'])} == {item['value']!r}"
        case "IN":
            return f"{named(item['name'])} in {list(item['values'])!r}"
        case _ if kind.startswith("RELATION"):
            how = item.get("lambda", kind.rpartition("_")[2])
            if how in SMALLER:
                return f"{named(item['left'])} {SMALLER[how]} {named(item['right'])}"
    raise UnknownError(f"a forbidden clause of type {kind!r} is not known here")


def named(name: str) -> str:
    """Name a hyperparameter in an expression."""
    return f"space[{name!r}]"
