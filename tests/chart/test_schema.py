"""Values that contradict themselves or are out of range are refused, and the message says where."""

import pytest

from tests.support import helm
from tests.support.chart import Render, RenderError, objects
from tests.support.chart_sdk import Refused, texts, values_of

REFUSED = [
    pytest.param("foo=1", "foo", id="unknown-key"),
    pytest.param("image.foo=1", "foo", id="unknown-key-below"),
    pytest.param("image.digest=sha256:abc", "digest", id="no-digest"),
    pytest.param("image.tag=latest", "tag", id="latest"),
    pytest.param("image.repository=Evil Registry", "repository", id="no-repository"),
    pytest.param("image.requireDigest=true", "digest", id="digest-required"),
    pytest.param("injector.replicas=0", "replicas", id="no-replica"),
    pytest.param("injector.port=80", "port", id="a-low-port"),
    pytest.param("injector.hostNetwork=true", "port", id="the-kubelets-port"),
    pytest.param("injector.serviceAccount.create=false", "name", id="no-service-account"),
    pytest.param("injector.podLabels.app\\.kubernetes\\.io/name=x", "app.kubernetes.io",
                 id="our-labels"),
    pytest.param("webhook.failurePolicy=fail", "failurePolicy", id="failure-policy"),
    pytest.param("webhook.timeoutSeconds=31", "timeoutSeconds", id="timeout"),
    pytest.param("certificates.mode=none", "mode", id="certificate-mode"),
    pytest.param("certificates.mode=provided", "secretName", id="no-secret"),
    pytest.param("optOut.namespaces={Sandbox}", "namespaces", id="no-namespace"),
    pytest.param("optOut.namespaces={x'] || true}", "namespaces", id="cel-in-a-namespace"),
    pytest.param("admissionPolicies.acceptedImages={x'\\, 'y}", "acceptedImages", id="cel-image"),
    pytest.param("trustedContainers[0].name=x", "imagePrefix", id="trusted-by-name-alone"),
    pytest.param("trustedContainers[0].name=x,trustedContainers[0].imagePrefix=evil/proxy",
                 "imagePrefix", id="prefix-that-others-share"),
    pytest.param("inlineCsiDrivers={x'] || true}", "inlineCsiDrivers", id="cel-driver"),
    pytest.param("hardenAppContainers=none", "hardenAppContainers", id="hardening"),
    pytest.param("capture.mode=none", "mode", id="capture-mode"),
    pytest.param("capture.mode=cooperative,capture.watch=true", "watch", id="nothing-to-watch"),
    pytest.param("capture.mode=cooperative,capture.skipSubnets={10.0.0.0/8}", "skipSubnets",
                 id="nothing-to-skip"),
    pytest.param("identity.hostPath=/", "hostPath", id="the-whole-node"),
    pytest.param("identity.hostPath=/run/../etc", "hostPath", id="a-path-that-climbs"),
    pytest.param("sidecar.variables.PATH=/tmp", "variables", id="a-foreign-variable"),
    pytest.param("policy.engine=opa,policy.opa.mode=remote", "url", id="opa-nowhere"),
    pytest.param("policy.opa.mode=remote,policy.opa.url=https://x,policy.opa.expect={spiffe://x/y}",
                 "engine", id="opa-unused"),
    pytest.param("policy.engine=opa,policy.opa.mode=socket", "trustedContainers", id="opa-beside"),
    pytest.param("policy.bundle.url=http://x/b.tar.gz", "url", id="bundle-in-the-clear"),
    pytest.param("policy.bundle.url=https://x/b.tar.gz,sidecar.policyConfigMap=p",
                 "policyConfigMap", id="two-policies"),
    pytest.param("stores.kind=redis", "url", id="redis-nowhere"),
    pytest.param("stores.redis.url=rediss://x:6379/0", "kind", id="redis-unused"),
    pytest.param("stores.kind=redis,stores.redis.url=rediss://u:p@x:6379/0", "url", id="password"),
    pytest.param("revision=A b", "revision", id="no-label"),
]  # fmt: skip


@pytest.mark.parametrize(("sets", "where"), REFUSED)
def test_such_values_are_refused(sets: str, where: str) -> None:
    with pytest.raises(Refused) as caught:
        texts(values_of(sets))
    assert where in str(caught.value)


@pytest.mark.k8s
@pytest.mark.parametrize("version", helm.VERSIONS)
@pytest.mark.parametrize(("sets", "where"), REFUSED)
def test_helm_refuses_them(version: str, sets: str, where: str) -> None:
    _refused(version, sets, where)


def _refused(version: str, sets: str, where: str) -> None:
    with pytest.raises(RenderError) as caught:
        objects(Render(sets=(sets,), version=version))
    assert "values don't meet the specifications of the schema" in str(caught.value)
    assert where in str(caught.value)


@pytest.mark.parametrize("sets", [
    pytest.param("global.anything.at=all", id="a-parents-values"),
    pytest.param("capture.mode=cooperative", id="cooperative"),
    pytest.param("stores.kind=redis,stores.redis.url=rediss://redis.example:6379/0", id="redis"),
    pytest.param("injector.hostNetwork=true,injector.port=10251", id="host-network"),
    pytest.param("trustedContainers[0].name=x,trustedContainers[0].imagePrefix=mesh/proxy@",
                 id="trusted"),
    pytest.param("image.tag=1.2.3-rc.1", id="a-tag"),
])  # fmt: skip
def test_near_misses_are_rendered(sets: str) -> None:
    assert texts(values_of(sets))
