"""Task tokens: the intent capsule an agent shows for its task (GOVERNANCE §2).

Laws: a token adds nothing to what the store holds of the task, so one that says anything else of
it is none; it is bound to one agent; it ends no later than the task and the key that signed it.
"""

import hmac
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from outrider.core.errors import EnforcementError
from outrider.core.ids import uuid7
from outrider.core.jsonvalue import JsonObject, json_digest
from outrider.core.ports import Clock, TokenSigner
from outrider.tasks.task import Task

TYPE: Final = "outrider-task+jwt"
CACHED: Final = 1024
"""Tokens of ours whose signature was checked: it is checked once each."""
_TIMES: Final = ("iat", "exp")


class TokenMismatchError(EnforcementError):
    """A token that is none of ours, or says another thing than the store; never told apart from an
    unknown task."""


class TaskTokens:
    """Makes and reads the tokens of tasks. `trust_domain` is ours now, the audience of them all."""

    def __init__(
        self, *, signer: TokenSigner, trust_domain: Callable[[], str], clock: Clock
    ) -> None:
        self._signer = signer
        self._trust_domain = trust_domain
        self._clock = clock
        self._read: OrderedDict[str, JsonObject] = OrderedDict()
        self._checked: dict[str, Task] = {}  # what a token was found to say of, as it stood then

    def make(self, task: Task) -> str:
        """A token for `task` as it stands. Raises `CredentialUnavailableError`."""
        now = self._clock.unix_s()
        claims = {
            **_bound(task),
            "iss": self._signer.issuer,
            "aud": self._trust_domain(),
            "iat": int(now),
            "exp": int(task.deadline_unix_s),
            "jti": uuid7(now),
        }
        return self._signer.sign(TYPE, claims)

    def name_in(self, token: str) -> str:
        """The id of the task that a token of ours names, checked but for what the store says of the
        task. Raises `TokenMismatchError`."""
        claims = self._claims(token)
        now = self._clock.unix_s()
        issued, expires = (claims.get(name) for name in _TIMES)
        if not isinstance(issued, int) or not isinstance(expires, int):
            raise _mismatch("times")
        if now >= expires:
            raise _mismatch("expired")
        if claims.get("aud") != self._trust_domain():
            raise _mismatch("audience")
        name = claims.get("txn")
        if not isinstance(name, str):
            raise _mismatch("txn")
        return name

    def check(self, token: str, task: Task) -> None:
        """Whether `token` says of `task` what the store does: its agent, purpose, principal, grant
        and revision. Raises `TokenMismatchError`."""
        if self._checked.get(token) is task:
            return
        claims = self._claims(token)
        for name, value in _bound(task).items():
            if name not in claims or claims[name] != value:
                raise _mismatch(name)
        if len(self._checked) >= CACHED:
            self._checked.clear()
        self._checked[token] = task

    def _claims(self, token: str) -> JsonObject:
        known = self._read.get(token)
        if known is not None:
            self._read.move_to_end(token)
            return known
        try:
            claims = self._signer.read(TYPE, token)
        except EnforcementError:
            raise _mismatch("signature") from None
        self._read[token] = claims
        if len(self._read) > CACHED:
            self._read.popitem(last=False)
        return claims


def looks_like_token(name: str) -> bool:
    """Whether a task's name has the form of a token, not of an id."""
    return name.count(".") == 2


def same_id(one: str, other: str) -> bool:
    """Whether two ids are one, in a time that tells nothing."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8"))


def _bound(task: Task) -> JsonObject:
    """The claims that must be what the store says."""
    return {
        "sub": task.agent,
        "txn": task.id,
        "purpose_digest": task.purpose_digest,
        "principal": task.principal.id,
        "grant_digest": json_digest(task.grant.document),
        "grant_revision": task.grant_revision,
    }


def _mismatch(cause: str) -> TokenMismatchError:
    return TokenMismatchError("not a token of this task", cause=f"token_{cause}")
