"""From obligations to a plan: what can be done is planned, anything else denies."""

import re
from dataclasses import dataclass
from typing import Final, assert_never

from outrider.core.decision import Decision
from outrider.core.errors import ObligationError
from outrider.core.obligation import (
    ApprovalObligation,
    CredentialObligation,
    HeaderObligation,
    LabelObligation,
    LimitObligation,
    NarrowObligation,
    NotifyObligation,
    Obligation,
    QuarantineObligation,
    RedactObligation,
)
from outrider.core.ports import Edits
from outrider.core.vocabulary import Effect, FieldLabel
from outrider.pipeline.hygiene import may_set

_TOKEN: Final = re.compile(r"[a-z0-9!#$%&'*+.^`|~-]{1,64}")
_VALUE: Final = re.compile(r"[\x20-\x7e\t]{0,1024}")
_LABELS: Final = frozenset(FieldLabel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the obligations of an exchange's decisions come to."""

    edits: Edits
    credential: CredentialObligation | None
    notify: tuple[NotifyObligation, ...]
    label: LabelObligation | None = None


EMPTY: Final = Plan(edits=Edits(), credential=None, notify=())


class _Draft:
    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.redactions: list[RedactObligation] = []
        self.limits: list[LimitObligation] = []
        self.credential: CredentialObligation | None = None
        self.notify: list[NotifyObligation] = []
        self.labels: list[LabelObligation] = []

    def add(self, obligation: Obligation) -> None:
        match obligation:
            case LimitObligation():
                self.limits.append(obligation)
            case RedactObligation():
                self._redact(obligation)
            case HeaderObligation():
                self._set_headers(obligation)
            case CredentialObligation():
                self._lease(obligation)
            case NotifyObligation():
                self.notify.append(obligation)
            case ApprovalObligation():
                raise ObligationError("approvals cannot be asked for in this version")
            case NarrowObligation() | QuarantineObligation():
                return  # carried out by `consequences`, on a deny too
            case LabelObligation():
                self._label(obligation)
            case _:
                assert_never(obligation)

    def _lease(self, obligation: CredentialObligation) -> None:
        if self.credential not in {None, obligation}:
            raise ObligationError("two credentials are asked for")
        self.credential = obligation

    def _label(self, obligation: LabelObligation) -> None:
        if not _LABELS.issuperset(obligation.labels):
            raise ObligationError("a label nobody knows")
        self.labels.append(obligation)

    def _redact(self, obligation: RedactObligation) -> None:
        for other in self.redactions:
            if other.pointer == obligation.pointer and other != obligation:
                raise ObligationError("two redactions of one pointer differ")
        self.redactions.append(obligation)

    def _set_headers(self, obligation: HeaderObligation) -> None:
        for name, value in obligation.set:
            key = name.lower()
            if not (_TOKEN.fullmatch(key) and _VALUE.fullmatch(value) and may_set(key)):
                raise ObligationError("a header that policy may not set")
            if self.headers.setdefault(key, value) != value:
                raise ObligationError("two values for one header")

    def plan(self) -> Plan:
        bounds = [limit.response_bytes for limit in self.limits if limit.response_bytes is not None]
        records = [limit.records for limit in self.limits if limit.records is not None]
        edits = Edits(
            headers=tuple(self.headers.items()),
            redactions=tuple(self.redactions),
            response_bytes=min(bounds, default=None),
            records=min(records, default=None),
        )
        return Plan(
            edits=edits,
            credential=self.credential,
            notify=tuple(self.notify),
            label=_united(self.labels),
        )


def _united(labels: list[LabelObligation]) -> LabelObligation | None:
    """The gravest sensitivity and every label of `labels`."""
    if not labels:
        return None
    named = [label.sensitivity for label in labels if label.sensitivity is not None]
    return LabelObligation(
        sensitivity=max(named, key=lambda one: one.rank, default=None),
        labels=tuple(dict.fromkeys(word for label in labels for word in label.labels)),
    )


def plan(decisions: tuple[Decision, ...]) -> Plan:
    """The plan for `decisions`, united. Raises `ObligationError` for what cannot be done.

    A hold asks for an approval, which this version cannot give: it refuses with `obligation`.
    """
    if all(not decision.obligations and decision.effect is Effect.ALLOW for decision in decisions):
        return EMPTY
    draft = _Draft()
    for decision in decisions:
        for obligation in decision.obligations:
            draft.add(obligation)
        if decision.effect is not Effect.ALLOW:
            raise ObligationError("a hold without an approval")
    return draft.plan()
