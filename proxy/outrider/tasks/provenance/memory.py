"""What a task's index has stored, and the label a single value has by it (GOVERNANCE §4.1-6).

Order of a label: user, record, session, platform, untrusted, model. A platform value that was
also heard in untrusted text is untrusted, unless its field says `match: exact`.
"""

import hashlib
from typing import Final, NamedTuple

from outrider.core.vocabulary import Label, Role
from outrider.tasks.provenance.addresses import Url, shown_host, url_of
from outrider.tasks.provenance.confusables import skeleton
from outrider.tasks.provenance.forms import Form, fold, forms_of, is_short, path_of
from outrider.tasks.provenance.heard import TEXT_BYTES, Heard, Said
from outrider.tasks.provenance.secrets import Secrets
from outrider.tasks.provenance.seen import Place, Seen

ANCHOR_BYTES: Final = 64 << 10
RECORD_BYTES: Final = TEXT_BYTES // 4
MAX_LOOKALIKES: Final = 8192
DIGEST_BYTES: Final = 12
_TRUSTED: Final = (Label.USER, Label.RECORD, Label.SESSION)
_OPEN: Final = frozenset({None, "text"})
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
        "_key",
        "endorsed",
        "heard",
        "incomplete",
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
        self.said = Said(ANCHOR_BYTES)
        self.records = Said(RECORD_BYTES)
        self.endorsed: dict[tuple[str, str | None, str], str] = {}
        self._alike: dict[bytes, bytes] = {}
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
        )

    def digest(self, data: bytes) -> str:
        """The keyed digest of a canonical form, in hex."""
        return hashlib.blake2b(data, digest_size=DIGEST_BYTES, key=self._key).hexdigest()

    def digest_of(self, value: str | float) -> str:
        """The keyed digest of a value, the same for every spelling of a number or address."""
        forms = forms_of(value)
        return self.digest(forms[-1].key if forms else b"")

    # --- taking in ----------------------------------------------------------------------------

    def keep(self, value: str | float, place: Place, *, hidden: bool = False) -> None:
        """Store a whole value. `hidden` (a secret) keeps nothing of it but a digest."""
        forms = forms_of(value)
        if hidden:
            forms = [Form(b"\0s" + self.digest(form.key).encode(), b"") for form in forms]
        for form in forms:
            self.seen.add(form, place._replace(cased=form.cased))
        if hidden or not forms:
            return
        if place.label is not Label.UNTRUSTED:
            self._remember_look(forms[0].key)
        if isinstance(value, str) and ("://" in value or value[:4].lower() == "www."):
            self._keep_origin(value, place)

    def _keep_origin(self, value: str, place: Place) -> None:
        url = url_of(fold(value, cased=True).decode())
        if url is None or url.userinfo:
            return
        for origin in url.origins:
            self.seen.add(Form(origin, origin), place._replace(cased=origin))
            if place.label is not Label.UNTRUSTED:
                self._remember_look(_shown_origin(url, origin))

    def _remember_look(self, key: bytes) -> None:
        if len(self._alike) < MAX_LOOKALIKES and len(key) >= 4:
            self._alike.setdefault(skeleton(key), key)

    # --- telling ------------------------------------------------------------------------------

    def sight(self, value: str | float, kind: str | None, role: Role, upstream: str) -> Sight:
        """What is known of one value. It is looked at as a whole; lists are split by the caller."""
        forms = forms_of(value, kind)
        if not forms:
            return MADE_UP
        url = _url_in(value, kind)
        if url is not None and url.userinfo:
            return Sight(Label.UNTRUSTED, self._heard(forms, url))
        found = self._trusted(forms, kind, role, upstream)
        if found is None and url is not None and (url.climbs or self._carries_heard(url)):
            heard = self._heard(forms, None)  # nothing is said by where it leads
            return Sight(Label.UNTRUSTED, heard) if heard else MADE_UP
        found = found or self._by_part(forms, url, kind)
        if found is not None:
            return found
        heard = self._heard(forms, url)
        if self._looks_trusted(forms[0].key, url):
            return Sight(Label.UNTRUSTED, heard, confusable=True)
        return Sight(Label.UNTRUSTED, heard) if heard else self._by_short(forms, upstream)

    def _trusted(
        self, forms: list[Form], kind: str | None, role: Role, upstream: str
    ) -> Sight | None:
        places = [
            place
            for form in forms
            for place in self.seen.at(form)
            if place.label is Label.USER or place.upstream == upstream or not is_short(forms[0].key)
        ]
        places += self._hidden(forms)
        for label in _TRUSTED:
            sources = tuple(dict.fromkeys(one.source for one in places if one.label is label))
            if not sources and label is Label.USER:
                sources = self._said(self.said, forms) or self._endorsed(forms, kind, role)
            elif not sources and label is Label.RECORD and not is_short(forms[0].key):
                sources = self._said(self.records, forms)
            if sources:
                return Sight(label, sources[:4])
        shown = [one for one in places if one.label is Label.PLATFORM]
        if shown and (any(one.exact for one in shown) or not self._heard(forms, None)):
            return Sight(Label.PLATFORM, tuple(dict.fromkeys(one.source for one in shown))[:4])
        return None

    def _hidden(self, forms: list[Form]) -> tuple[Place, ...]:
        """Where a secret of this very text was shown."""
        form = Form(b"\0s" + self.digest(forms[0].key).encode(), b"")
        return self.seen.at(form)

    def _said(self, text: Said, forms: list[Form]) -> tuple[str, ...]:
        for form in forms:
            source = text.find(form)
            if source is not None:
                return (source,)
        return ()

    def _endorsed(self, forms: list[Form], kind: str | None, role: Role) -> tuple[str, ...]:
        if not self.endorsed:
            return ()
        names = ((role.value, kind, self.digest(form.key + form.cased)) for form in forms)
        return tuple(self.endorsed[name] for name in names if name in self.endorsed)[:1]

    def _by_part(self, forms: list[Form], url: Url | None, kind: str | None) -> Sight | None:
        """Component provenance: the authority of a URL, the root directory of a path."""
        if url is not None:
            return self._by_origin(url)
        if kind == "path":
            return self._by_directory(forms[0].cased.decode())
        return None

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
            heard = self.heard.find(url.host.encode())
            return None if heard else Sight(best, sources[:4])
        return Sight(best, sources[:4])

    def _carries_heard(self, url: Url) -> bool:
        """True where the query holds what untrusted text said and no trusted place did."""
        for value in url.values() if url.query else ():
            forms = forms_of(value)
            if not forms or is_short(forms[0].key):
                continue
            if self._heard(forms, None) and not self._trusted(forms, None, Role.CONTENT, ""):
                return True
        return False

    def _by_directory(self, text: str) -> Sight | None:
        if ".." in text.replace("\\", "/").split("/"):
            return None
        path = path_of(text)
        for _ in range(_DEEPEST):
            path, slash, _ = path.rpartition("/")
            if not slash or not path:
                return None
            named = self.said.starts_with(path.encode() + b"/")
            form = Form(fold(path), path.encode(), sensitive=True)
            if named is None and "/" in path:
                named = self.said.find(form)
            if named is not None:
                return Sight(Label.USER, (named,))
            made = [one for one in self.seen.at(form) if one.label in (Label.USER, Label.SESSION)]
            if made:
                best = min(made, key=lambda one: one.label.rank)
                return Sight(best.label, (best.source,))
        return None

    def _heard(self, forms: list[Form], url: Url | None) -> tuple[str, ...]:
        if is_short(forms[0].key):
            return ()
        for form in forms:
            if form.key[0]:
                source = self.heard.find(form.key)
            elif form.key[:2] == b"\0c":
                source = self.heard.find_compact(form.key[2:])
            else:
                continue
            if source is not None:
                return (source,)
        if url is not None:
            source = self.heard.find(url.host.encode())
            return (source,) if source is not None else ()
        return ()

    def _looks_trusted(self, key: bytes, url: Url | None) -> bool:
        if len(key) < 4:
            return False
        look = skeleton(key)
        if look and (self._alike.get(look, key) != key or self.said.looks_like(look)):
            return True
        if url is None:
            return False
        for origin in url.origins:
            shown = _shown_origin(url, origin)
            if self._alike.get(skeleton(shown), shown) != shown:
                return True
        return False

    def _by_short(self, forms: list[Form], upstream: str) -> Sight:
        for form in forms:
            for place in self.seen.at(form):
                if place.label is Label.UNTRUSTED and place.upstream == upstream:
                    return Sight(Label.UNTRUSTED, (place.source,))
        return MADE_UP


def _url_in(value: str | float, kind: str | None) -> Url | None:
    if not isinstance(value, str) or kind not in ("url", "path", *_OPEN):
        return None
    if "://" not in value and value[:4].lower() != "www." and kind != "url":
        return None
    return url_of(fold(value, cased=True).decode(), bare=kind == "url")


def _shown_origin(url: Url, origin: bytes) -> bytes:
    return origin.replace(url.host.encode(), shown_host(url.host).encode())
