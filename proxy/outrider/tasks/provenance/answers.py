"""What the index of a task says: of an answer it took in, and of a call it looked at."""

from dataclasses import dataclass, field

from outrider.core.jsonvalue import JsonObject
from outrider.core.vocabulary import Label, Sensitivity


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What part of an answer held.

    `sensitivity` is what its fields raise the reading to (secret, or at least confidential for
    personal data), None where no field says so. `secrets` are the ids of secrets whose
    fingerprints are known now. `subjects` are keyed digests of the people it was about, one for
    each record, `listed` those of the objects a list of the answer named, both without repeats and
    at most `MAX_DIGESTS` of them. `created` are the names that count as made by the task.
    `labels` are all the labels its values have, most trusted first. `incomplete` says that it
    could not all be kept.
    """

    untrusted: bool
    sensitivity: Sensitivity | None = None
    secrets: tuple[str, ...] = ()
    records: int = 0
    subjects: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()
    incomplete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What is known of a call's arguments.

    `entries` is `action.properties.provenance` as CONTRACTS §1 spells it. `secret_ids` are those
    of all its entries. `objects` are keyed digests of the values it acts on, by pointer (roles
    target, selector and destination): the same as in `Learnt.listed` for the same value.
    """

    entries: JsonObject
    incomplete: bool
    secret_ids: tuple[str, ...] = ()
    objects: dict[str, str] = field(default_factory=dict)
