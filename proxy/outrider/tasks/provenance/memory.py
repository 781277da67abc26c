"""What a task's index has stored, and the label a single value has by it (GOVERNANCE §4.1-6).

Order of a label: user, record, session, platform, untrusted, model. A platform value that was
also heard in untrusted text, or can no longer be looked for there, is not platform, unless its
field says `match: exact`. Session counts for targets and selectors, and for the
directory of a path.
"""

import hashlib
from typing import Final, NamedTuple

from outrider.core.vocabulary import Label, Role
from outrider.tasks.provenance.addresses import Url, shown_host
from outrider.tasks.provenance.confusables import skeleton
from outrider.tasks.provenance.forms import Form, Value, fold, path_of, value_of
from outrider.tasks.provenance.heard import TEXT_BYTES, Heard, Said
from outrider.tasks.provenance.own import Own
from outrider.tasks.provenance.secrets import Secrets
from outrider.tasks.provenance.seen import Place, Seen

ANCHOR_BYTES: Final = 64 << 10
RECORD_BYTES: Final = TEXT_BYTES // 4
MAX_LOOKALIKES: Final = 8192
MAX_ENDORSED: Final = 1024
DIGEST_BYTES: Final = 12
_TRUSTED: Final = (Label.USER, Label.RECORD, Label.SESSION)
_NAMES: Final = frozenset({Role.TARGET, Role.SELECTOR})
"""Roles in which a name that the task itself gave counts as its own."""
_PLACES: Final = _NAMES | {Role.DESTINATION}
_LONGEST_LOOK: Final = 256  # bytes of a value that is compared by its looks
_DEEPEST: Final = 32  # directories above a path that are looked up


class Sight(NamedTuple):
    """A value's label and where it was seen. `confusable`: it looks like a trusted one."""

    label: Label
    sources: tuple[str, ...] = ()
    confusable: bool = False


MADE_UP: Final = Sight(Label.MODEL)


class Memory:
    """The stores of one task, and what they say of a value. `key` makes digests."""

    __slots__ = (
        "_alike",
        "_hides",
        "_key",
        "endorsed",
        "heard",
        "incomplete",
        "own",
        "records",
        "said",
        "secrets",
        "seen",
    )

    def __init__(self, *, key: bytes, incomplete: bool) -> None:
        self._key = hashlib.blake2b(key, digest_size=32, person=b"outrider.prov").digest()
        self.seen = Seen()
        self.secrets = Secrets(self.digest)
        self.heard = Heard()
        self.own = Own()
        self.said = Said(ANCHOR_BYTES)
        self.records = Said(RECORD_BYTES)
        self.endorsed: dict[tuple[str, str | None, str], str] = {}
        self._alike: dict[bytes, bytes] = {}
        self._hides = False
        self.incomplete = incomplete

    @property
    def is_incomplete(self) -> bool:
        return (
            self.incomplete
            or self.seen.incomplete
            or self.heard.incomplete
            or self.said.incomplete
            or self.records.incomplete
            or self.secrets.incomplete
            or self.own.full
        )

    def digest(self, data: bytes) -> str:
        """The keyed digest of a canonical form, in hex."""
        return hashlib.blake2b(data, digest_size=DIGEST_BYTES, key=self._key).hexdigest()

    def digest_of(self, value: Value) -> str:
        """The keyed digest of a value, the same for every spelling of a number or address."""
        return self.digest(value.forms[-1].key)

    # --- taking in ----------------------------------------------------------------------------

    def keep(self, text: str | float, place: Place, *, hidden: bool = False) -> Value | None:
        """Store a whole value of a place that is trusted; a secret (`hidden`) of any place, and of
        that nothing but a digest."""
        value = value_of(text)
        if value is None:
            return None
        if hidden:
            self._hides = True
            self.seen.add(self._hidden(value), place)
            return value
        for form in value.forms:
            self.seen.add(form, place._replace(cased=form.cased))
        self._remember_look(value.key)
        named = place.label is not Label.SESSION  # a page it made says nothing of its neighbours
        if named and value.url is not None and not value.url.userinfo:
            self._keep_origin(value.url, place)
        return value

    def keep_short(self, text: str, event: str, pointer: str, upstream: str) -> None:
        """Store an untrusted value if it is too short to be found in the text."""
        value = value_of(text, "id") if self.seen.has_room_for_short else None
        if value is not None and value.short:
            place = Place(Label.UNTRUSTED, f"{event}#{pointer}", b"", upstream, exact=False)
            for form in value.forms:
                self.seen.add(form, place._replace(cased=form.cased))

    def _keep_origin(self, url: Url, place: Place) -> None:
        for origin in url.origins:
            self.seen.add(Form(origin, origin), place._replace(cased=origin))
            self._remember_look(_shown_origin(url, origin))

    def _remember_look(self, key: bytes) -> None:
        if len(self._alike) < MAX_LOOKALIKES and len(key) >= 4:
            self._alike.setdefault(skeleton(key), key)

    # --- telling ------------------------------------------------------------------------------

    def sight(self, value: Value, kind: str | None, role: Role, upstream: str) -> Sight:
        """What is known of one value. It is looked at as a whole; lists are split by the caller."""
        url = value.url
        if url is not None and url.userinfo:
            return Sight(Label.UNTRUSTED, self._heard(value, whole=True))
        found = self._trusted(value, kind, role, upstream)
        if found is None and url is not None:
            if url.climbs or self._carries_heard(url):
                heard = self._heard(value, whole=True)  # nothing is said by where it leads
                return Sight(Label.UNTRUSTED, heard) if heard else MADE_UP
            found = self._by_origin(url)
        elif found is None and kind == "path":
            found = self._by_directory(value.forms[0].cased.decode(), role)
        if found is not None:
            return found
        heard = self._heard(value)
        if len(value.key) <= _LONGEST_LOOK and self._looks_trusted(value):
            return Sight(Label.UNTRUSTED, heard, confusable=True)
        return Sight(Label.UNTRUSTED, heard) if heard else self._by_field(value, upstream)

    def _trusted(self, value: Value, kind: str | None, role: Role, upstream: str) -> Sight | None:
        places = self._places(value, upstream)
        if role not in _NAMES:
            places = [one for one in places if one.label is not Label.SESSION]
        if not places:
            return self._by_word(value, kind, role)
        for label in _TRUSTED:
            sources = [one.source for one in places if one.label is label]
            if not sources and label is Label.USER:
                sources = self._said(self.said, value) or self._endorsed(value, kind, role)
            elif not sources and label is Label.RECORD and not value.short:
                sources = self._said(self.records, value)
            if sources:
                return Sight(label, tuple(dict.fromkeys(sources))[:4])
        shown = [one for one in places if one.label is Label.PLATFORM]
        if shown and (any(one.exact for one in shown) or self._is_surely_unheard(value)):
            return Sight(Label.PLATFORM, tuple(dict.fromkeys(one.source for one in shown))[:4])
        return None

    def _by_word(self, value: Value, kind: str | None, role: Role) -> Sight | None:
        """What a person or a record said of a value no field held."""
        sources = self._said(self.said, value) or self._endorsed(value, kind, role)
        if sources:
            return Sight(Label.USER, tuple(sources))
        sources = [] if value.short else self._said(self.records, value)
        return Sight(Label.RECORD, tuple(sources)) if sources else None

    def _places(self, value: Value, upstream: str) -> list[Place]:
        """The places it was seen in; of a short one only what a person or this upstream said."""
        places = [place for form in value.forms for place in self.seen.at(form)]
        if self._hides:
            places += self.seen.at(self._hidden(value))
        if value.short:
            return [one for one in places if one.label is Label.USER or one.upstream == upstream]
        return places

    def _hidden(self, value: Value) -> Form:
        return Form(b"\0s" + self.digest(value.key).encode(), b"")

    def _said(self, text: Said, value: Value) -> list[str]:
        for form in value.forms:
            source = text.find(form)
            if source is not None:
                return [source]
        return []

    def _endorsed(self, value: Value, kind: str | None, role: Role) -> list[str]:
        if not self.endorsed:
            return []
        names = self._endorsements(value, role, kind)
        return [self.endorsed[name] for name in names if name in self.endorsed][:1]

    def endorse(self, value: Value, role: Role, kind: str | None, source: str) -> None:
        """`value` is trusted in this role and type; of it only digests are kept."""
        for name in self._endorsements(value, role, kind):
            if len(self.endorsed) < MAX_ENDORSED:
                self.endorsed[name] = source

    def _endorsements(
        self, value: Value, role: Role, kind: str | None
    ) -> list[tuple[str, str | None, str]]:
        return [
            (role.value, kind, self.digest(form.cased if form.sensitive else form.key))
            for form in value.forms
        ]

    def _by_origin(self, url: Url) -> Sight | None:
        origins = [Form(origin, origin) for origin in url.origins]
        places = [place for form in origins for place in self.seen.at(form)]
        host = self.said.names_host(url.authority.encode())
        sources = tuple(dict.fromkeys(place.source for place in places))
        best = min((place.label for place in places), key=lambda label: label.rank, default=None)
        if host is not None and best is not Label.USER:
            best, sources = Label.USER, (host,)
        if best is None or best is Label.UNTRUSTED:
            return None
        if best is Label.PLATFORM and not any(place.exact for place in places):
            name = url.host.encode()
            heard = self.heard.find(name) is not None or self.heard.may_have_lost(name)
            return None if heard else Sight(best, sources[:4])
        return Sight(best, sources[:4])

    def _carries_heard(self, url: Url) -> bool:
        """True where the query holds what untrusted text said and no trusted place did."""
        for text in url.values() if url.query else ():
            value = value_of(text)
            if value is None or value.short:
                continue
            if self._heard(value, whole=True) and not self._trusted(value, None, Role.CONTENT, ""):
                return True
        return False

    def _by_directory(self, text: str, role: Role) -> Sight | None:
        if ".." in text.replace("\\", "/").split("/"):
            return None
        roots = (Label.USER, Label.SESSION) if role in _PLACES else (Label.USER,)
        path = path_of(text)
        for _ in range(min(_DEEPEST, path.count("/"))):
            path = path.rpartition("/")[0]
            if not path:
                break
            named = self.said.names_directory(path.encode() + b"/")
            form = Form(fold(path), path.encode(), sensitive=True)
            if named is None and "/" in path:
                named = self.said.find(form)
            if named is not None:
                return Sight(Label.USER, (named,))
            made = [one for one in self.seen.at(form) if one.label in roots]
            if made:
                best = min(made, key=lambda one: one.label.rank)
                return Sight(best.label, (best.source,))
        return None

    def _heard(self, value: Value, *, whole: bool = False) -> tuple[str, ...]:
        """Where untrusted text said it; of a URL, unless `whole` is asked for, its host."""
        if value.short:
            return ()
        for form in value.forms:
            source = None
            if form.key[0]:
                source = self.heard.find(form.key)
            elif form.key[:2] == b"\0c":
                source = self.heard.find_compact(form.key[2:])
            if source is not None:
                return (source,)
        if value.url is not None and not whole:
            source = self.heard.find(value.url.host.encode())
            return (source,) if source is not None else ()
        return ()

    def _is_surely_unheard(self, value: Value) -> bool:
        """Whether untrusted text did not say it; after too much of that nobody can tell."""
        if value.short:
            return True
        lost = self.heard.may_have_lost(value.key)
        return not lost and not self._heard(value, whole=True)

    def _looks_trusted(self, value: Value) -> bool:
        key = value.key
        if len(key) < 4:
            return False
        look = skeleton(key)
        if self._alike.get(look, key) != key or self.said.looks_like(look):
            return True
        url = value.url
        shown = [] if url is None else [_shown_origin(url, origin) for origin in url.origins]
        return any(self._alike.get(skeleton(one), one) != one for one in shown)

    def _by_field(self, value: Value, upstream: str) -> Sight:
        """Untrusted by a field that held just this: a short value, or a secret."""
        for place in self._places(value, upstream):
            if place.label is Label.UNTRUSTED:
                return Sight(Label.UNTRUSTED, (place.source,))
        return MADE_UP


def _shown_origin(url: Url, origin: bytes) -> bytes:
    return origin.replace(url.host.encode(), shown_host(url.host).encode())
