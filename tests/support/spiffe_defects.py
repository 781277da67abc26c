"""Every certificate that is refused, and every odd one that is not (IDENTITY §7.1).

Each is made of the authorities of `Ours`: it stands on a chain of its own, and nothing else is
wrong with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from outrider.identity.reasons import HandshakeReason as Reason, Role
from tests.support.spiffe_ca import CLIENT, Ca, Svid, a_ca, a_leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """`id` is the row's number and name; `make` takes the authorities of a.test and b.test."""

    id: str
    make: Callable[[Ca, Ca], Svid]
    reason: Reason
    as_server: Reason | None = None
    """Why our client refuses it, where that is another reason."""

    def why(self, role: Role) -> Reason:
        """Our `role`: a server refuses a client's certificate, a client a server's."""
        if role is Role.CLIENT and self.as_server is not None:
            return self.as_server
        return self.reason


def _named(*uris: str) -> Callable[[Ca, Ca], Svid]:
    return lambda a, _: a_leaf(a, uris=uris)


def _used(*usages: str) -> Callable[[Ca, Ca], Svid]:
    return lambda a, _: a.svid(usages=usages)


DEFECTS: Final[Sequence[Defect]] = (
    Defect(
        id="01-forged-by-a-federated-authority",
        make=lambda _, b: a_leaf(b, uris=("spiffe://a.test/admin",)),
        reason=Reason.WRONG_AUTHORITY,
    ),
    Defect(
        id="02-trust-domain-without-bundle",
        make=_named("spiffe://c.test/planner"),
        reason=Reason.NO_BUNDLE,
    ),
    Defect(
        id="03-unknown-authority",
        make=lambda _, __: a_ca("a.test", common="stranger").svid(),
        reason=Reason.UNKNOWN_AUTHORITY,
    ),
    Defect(
        id="04-expired",
        make=lambda a, _: a.svid(seconds=(-120, -60)),
        reason=Reason.EXPIRED,
    ),
    Defect(
        id="05-not-yet-valid",
        make=lambda a, _: a.svid(seconds=(3600, 7200)),
        reason=Reason.NOT_YET_VALID,
    ),
    Defect(id="06-is-a-ca", make=lambda a, _: a.svid(basics=True), reason=Reason.LEAF),
    Defect(
        id="07-may-sign-certificates",
        make=_used("digital_signature", "key_cert_sign"),
        reason=Reason.LEAF,
    ),
    Defect(
        id="08-may-sign-revocations",
        make=_used("digital_signature", "crl_sign"),
        reason=Reason.LEAF,
    ),
    Defect(id="09-no-digital-signature", make=_used("key_agreement"), reason=Reason.LEAF),
    Defect(
        id="10-key-usage-not-critical",
        make=lambda a, _: a.svid(usages_critical=False),
        reason=Reason.LEAF,
    ),
    Defect(
        id="11-two-uris",
        make=_named("spiffe://a.test/one", "spiffe://a.test/two"),
        reason=Reason.LEAF,
    ),
    Defect(id="12-https", make=_named("https://a.test/planner"), reason=Reason.SPIFFE_ID),
    Defect(id="13-no-alternative-names", make=_named(), reason=Reason.LEAF),
    Defect(id="14-trust-domain-itself", make=_named("spiffe://a.test"), reason=Reason.SPIFFE_ID),
    Defect(id="15-dots", make=_named("spiffe://a.test/a/../b"), reason=Reason.SPIFFE_ID),
    Defect(id="16-trailing-slash", make=_named("spiffe://a.test/a/"), reason=Reason.SPIFFE_ID),
    Defect(id="17-percent", make=_named("spiffe://a.test/a%41"), reason=Reason.SPIFFE_ID),
    Defect(id="18-upper-case-domain", make=_named("spiffe://A.test/a"), reason=Reason.SPIFFE_ID),
    Defect(id="19-port", make=_named("spiffe://a.test:1/a"), reason=Reason.SPIFFE_ID),
    Defect(
        id="20-for-clients-only",
        make=lambda a, _: a.svid(purposes=(CLIENT,)),
        reason=Reason.LEAF,
        as_server=Reason.PATH,
    ),
    Defect(
        id="21-no-subject-and-names-not-critical",
        make=lambda a, _: a.svid(common=None, names_critical=False),
        reason=Reason.LEAF,
    ),
    Defect(id="22-newline", make=_named("spiffe://a.test/a\n"), reason=Reason.SPIFFE_ID),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """A certificate that looks unusual and is in order."""

    id: str
    make: Callable[[Ca, Ca], Svid]


ACCEPTED: Final[Sequence[Odd]] = (
    Odd(id="plain", make=lambda a, _: a.svid()),
    Odd(id="through-an-intermediate", make=lambda a, _: a.below().svid()),
    Odd(id="through-two-intermediates", make=lambda a, _: a.below().below(common="two").svid()),
    Odd(id="federated", make=lambda _, b: b.svid()),
    Odd(id="rsa-leaf", make=lambda a, _: a.svid(key=rsa.generate_private_key(65537, 2048))),
    Odd(id="X-5-no-subject-names-critical", make=lambda a, _: a.svid(common=None)),
    Odd(id="X-3-dns-beside-uri", make=lambda a, _: a.svid(names=(x509.DNSName("p.a.test"),))),
    Odd(id="X-12-no-extended-key-usage", make=lambda a, _: a.svid(purposes=None)),
    Odd(id="X-8-no-basic-constraints", make=lambda a, _: a.svid(basics=None)),
    Odd(
        id="X-15-key-agreement",
        make=_used("digital_signature", "key_agreement", "key_encipherment"),
    ),
)
