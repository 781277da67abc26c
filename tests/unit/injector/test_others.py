"""The platform's containers are known by name and by the whole beginning of their image."""

import pytest

from outrider.injector.others import others_of, security
from outrider.injector.plan import TrustedContainer
from outrider.injector.reading import read_pod
from outrider.injector.reasons import DeniedError
from tests.support.admission import a_container, a_plan, a_pod


@pytest.mark.parametrize(
    ("prefix", "image", "trusted"),
    [
        ("r.example/vault", "r.example/vault:1", True),
        ("r.example/vault", "r.example/vault@sha256:ab", True),
        ("r.example/vault", "r.example/vault/agent:1", True),
        ("r.example/vault", "r.example/vault", True),
        ("r.example/platform/", "r.example/platform/vault:1", True),
        ("r.example/vault", "r.example/vault-of-mine:1", False),
        ("r.example/vault", "r.example/vaults", False),
        ("r.example/vault", "evil.example/r.example/vault:1", False),
        ("r.example/vault", "", False),
    ],
)
def test_an_images_beginning_ends_where_a_name_ends(prefix: str, image: str, trusted: bool) -> None:
    plan = a_plan(trusted=(TrustedContainer(name="vault", image_prefix=prefix),))
    pod = read_pod(a_pod(a_container(), a_container("vault", image=image)))
    others = others_of(pod.every_container(), plan)
    assert [others.is_trusted(one) for one in others.every] == [False, trusted]
    assert len(list(others.untrusted())) == 2 - trusted


def test_a_security_context_that_is_none_is_empty_and_one_that_is_no_object_denied() -> None:
    absent, wrong = read_pod(
        a_pod(a_container(securityContext=None), a_container("b", securityContext=[]))
    ).containers
    assert security(absent) == {}
    with pytest.raises(DeniedError, match="securityContext is no object"):
        security(wrong)
