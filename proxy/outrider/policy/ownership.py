"""Who answers for what: read from the data, and what of it is missing (GOVERNANCE §10).

Laws: every agent, upstream, rule that matters and group of approvers names somebody; in the
production profile a release in which anybody is missing is refused with the whole list; a rule
that names none is its default's (`data.outrider.ownership.rules`), never nobody's.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final

from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object

OF_AGENTS: Final = ("owner", "sponsor", "escalation", "class", "review_by")
OF_UPSTREAMS: Final = ("owner", "escalation", "review_by")
OF_RULES: Final = ("owner", "escalation", "runbook", "review_by")
GRAVE: Final = frozenset({"high", "critical"})
_TOLD: Final = 50
_GONE: Final = "offboarded"


def lacking(outrider: JsonObject) -> tuple[str, ...]:
    """What of `data.outrider` nobody answers for, a line each; empty where all is said."""
    return tuple(
        line
        for found in (
            _agents(as_object(outrider.get("agents"))),
            _upstreams(as_object(outrider.get("manifest"))),
            _rules(outrider),
            _groups(outrider),
        )
        for line in found
    )


def refuse_lacking(lines: tuple[str, ...]) -> None:
    """Raises `ConfigError` with every line, as far as they can be read."""
    if lines:
        more = [f"and {len(lines) - _TOLD} more"] if len(lines) > _TOLD else []
        raise ConfigError("\n".join([*lines[:_TOLD], *more]))


def overdue_s(due: Json, now_unix_s: float) -> float:
    """Seconds since the review was due at the end of the day `due`, 0 where it is not."""
    day = day_of(due)
    if day is None:
        return 0.0
    end = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() + 86_400
    return max(0.0, now_unix_s - end)


def day_of(value: Json) -> date | None:
    """A day as the data spells one, None for anything else."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else None
    except ValueError:
        return None


def _agents(agents: JsonObject) -> Iterator[str]:
    for name, entry in agents.items():
        said = as_object(entry)
        if said.get("status") != _GONE:  # it stays so that its name means nothing again
            yield from _missing(f"data.outrider.agents[{name!r}]", said, OF_AGENTS)


def _upstreams(manifest: JsonObject) -> Iterator[str]:
    for name, entry in manifest.items():
        yield from _missing(f"data.outrider.manifest.{name}", as_object(entry), OF_UPSTREAMS)


def _rules(outrider: JsonObject) -> Iterator[str]:
    default = as_object(as_object(outrider.get("ownership")).get("rules"))
    for code, entry in as_object(outrider.get("rules")).items():
        said = as_object(entry)
        if said.get("severity") in GRAVE and said.get("mode") != "off":
            yield from _missing(f"data.outrider.rules.{code}", default | said, OF_RULES)


def _groups(outrider: JsonObject) -> Iterator[str]:
    groups = as_object(outrider.get("groups"))
    for name, entry in groups.items():
        where, said = f"data.outrider.groups.{name}", as_object(entry)
        members = as_list(said.get("members"))
        if not members or not all(isinstance(one, str) and one for one in members):
            yield f"{where}: members is missing"
        deadline, backup = said.get("deadline"), said.get("backup")
        if not isinstance(deadline, int) or isinstance(deadline, bool) or deadline <= 0:
            yield f"{where}: deadline is missing"
        if backup not in groups or backup == name:
            yield f"{where}: backup names no other group"
    for code, entry in as_object(outrider.get("rules")).items():
        asked = as_object(as_object(entry).get("approval")).get("group")
        if asked is not None and asked not in groups:
            yield f"data.outrider.rules.{code}: the group {asked} of its approval is not there"


def _missing(where: str, said: JsonObject, keys: tuple[str, ...]) -> Iterator[str]:
    for key in keys:
        value = said.get(key)
        if not isinstance(value, str) or not value:
            yield f"{where}: {key} is missing"
        elif key == "review_by" and day_of(value) is None:
            yield f"{where}: {key} is {value!r}; give a day such as 2027-11-30"
