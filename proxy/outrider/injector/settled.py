"""From the injector's settings file to the plan that patches are made by."""

from collections.abc import Iterator

from outrider.config.injector import InjectorSettings
from outrider.core.capture import CaptureMode
from outrider.core.errors import ConfigError
from outrider.injector import capture, quantity
from outrider.injector.annotations import MEMORY_FLOOR
from outrider.injector.names import OWN_VARIABLES, POLICY_BUNDLE_VARIABLE
from outrider.injector.plan import (
    Capture,
    Exceptions,
    Hardening,
    Identity,
    IdentitySource,
    Plan,
    Preset,
    Resources,
    Sidecar,
    TrustedContainer,
)


def plan_of(settings: InjectorSettings, *, resolv_nameservers: tuple[str, ...] = ()) -> Plan:
    """`settings` as a plan; `resolv_nameservers` are the injector's own, a cluster's as a rule.

    Raises `ConfigError`, one line a fault, for settings that no pod could be patched by.
    """
    faults = list(_faults(settings))
    if faults:
        raise ConfigError("\n".join(faults))
    return Plan(
        image=settings.image,
        accepted_images=settings.accepted_images,
        image_pull_policy=settings.image_pull_policy,
        revision=settings.revision,
        hardening=Hardening(settings.harden_app_containers),
        capture=_capture(settings, resolv_nameservers),
        identity=Identity(
            source=IdentitySource(settings.identity.source),
            driver=settings.identity.csi_driver,
            host_path=settings.identity.host_path,
            socket_name=settings.identity.socket_name,
        ),
        resources=Resources(
            preset=Preset(settings.resources.preset),
            cpu_request=settings.resources.cpu_request,
            memory_request=settings.resources.memory_request,
            memory_limit=settings.resources.memory_limit,
        ),
        sidecar=_sidecar(settings),
        exceptions=Exceptions(
            opt_out=frozenset(settings.opt_out.namespaces),
            guarded_annotations=frozenset(settings.guarded_annotations.namespaces),
            agent_secrets=frozenset(settings.agent_secrets.exceptions),
            classic_sidecar=frozenset(settings.classic_sidecar.namespaces),
        ),
        trusted=tuple(
            TrustedContainer(name=one.name, image_prefix=one.image_prefix)
            for one in settings.trusted_containers
        ),
        inline_drivers=frozenset(settings.inline_csi_drivers),
    )


def _capture(settings: InjectorSettings, resolv_nameservers: tuple[str, ...]) -> Capture:
    given = settings.capture
    return Capture(
        mode=CaptureMode(given.mode),
        watch=given.watch,
        run_as_root=settings.net_init.run_as_root,
        nameservers=given.dns_servers or _usable(resolv_nameservers),
        skip_ports=tuple(map(str, given.skip_outbound_ports)),
        skip_subnets=given.skip_subnets,
    )


def _usable(nameservers: tuple[str, ...]) -> tuple[str, ...]:
    """Those that a rule can name: a resolv.conf may hold a zone, or a server on loopback."""
    found = []
    for text in nameservers:
        try:
            address = capture.nameserver(text)
        except ValueError:
            continue
        if not address.is_loopback:
            found.append(str(address))
    return tuple(found)


def _sidecar(settings: InjectorSettings) -> Sidecar:
    given = settings.sidecar
    return Sidecar(
        log_level=given.log_level,
        startup_timeout_s=given.startup_timeout_s,
        shutdown_grace_s=given.shutdown_grace_s,
        inbound=given.inbound,
        config_map=given.config_map,
        policy_config_map=given.policy_config_map,
        environment=tuple(sorted(given.environment.items())),
    )


def _faults(settings: InjectorSettings) -> Iterator[str]:
    for key, texts, read in (
        ("capture.dnsServers", settings.capture.dns_servers, capture.nameserver),
        ("capture.skipSubnets", settings.capture.skip_subnets, capture.subnet),
    ):
        for text in texts:
            try:
                read(text)
            except ValueError as fault:
                yield f"{key}: {fault}"
    resources = settings.resources
    limit = quantity.amount(resources.memory_limit)
    if limit < quantity.amount(MEMORY_FLOOR):
        yield f"resources.memoryLimit is {resources.memory_limit}; give {MEMORY_FLOOR} or more"
    if quantity.amount(resources.memory_request) > limit:
        yield (
            f"resources.memoryRequest is {resources.memory_request}; give at most the limit, "
            f"{resources.memory_limit}"
        )
    if (
        settings.sidecar.policy_config_map is not None
        and POLICY_BUNDLE_VARIABLE in settings.sidecar.environment
    ):
        yield f"sidecar.policyConfigMap stands beside {POLICY_BUNDLE_VARIABLE}; give one source"
    for name in sorted(OWN_VARIABLES & set(settings.sidecar.environment)):
        yield f"sidecar.environment has {name}, which the injector sets itself"
