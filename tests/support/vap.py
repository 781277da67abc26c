"""ValidatingAdmissionPolicies judged in CEL, as the API server would: policies, bindings, objects.

Laws: an expression that cannot be evaluated denies (`failurePolicy: Fail`); only `Deny` denies; a
binding's selectors decide who is in scope, and match conditions see no namespace.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

Object = Mapping[str, Any]

_NAMES: Final = ("object", "oldObject", "request", "namespaceObject", "variables")
_ENVIRONMENT: Final = cel.NewEnv(
    variables=dict.fromkeys(_NAMES, cel.Type.DYN),
    extensions=[ext_optional.ExtOptional(), ext_strings.ExtStrings()],
)
_COMPILED: Final[dict[str, cel.Expression]] = {}


class CelError(Exception):
    """An expression that came to no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the API server asks its policies about."""

    object: Object | None
    old: Object | None = None
    operation: str = "CREATE"
    resource: str = "pods"
    """With its subresource: `pods/ephemeralcontainers`."""
    namespace: str = "agents"
    labels: Mapping[str, str] = field(default_factory=lambda: {"outrider.dev/inject": "enabled"})
    """The namespace's own, besides its name."""
    groups: tuple[str, ...] = ("system:authenticated",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    policy: str
    message: str
    actions: tuple[str, ...]


class Policies:
    """The policies and bindings among rendered objects."""

    def __init__(self, rendered: Sequence[Object]) -> None:
        kind = "ValidatingAdmissionPolicy"
        self._policies = {
            one["metadata"]["name"]: one["spec"] for one in rendered if one["kind"] == kind
        }
        self._bindings = [one["spec"] for one in rendered if one["kind"] == f"{kind}Binding"]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the policies, in order."""
        return tuple(self._policies)

    @property
    def messages(self) -> frozenset[str]:
        """Every message there is; a denial that is none of them is an expression's own failure."""
        return frozenset(
            one["message"] for spec in self._policies.values() for one in spec["validations"]
        )

    def denials(self, request: Request) -> list[str]:
        """The messages that refuse `request`, each once; empty lets it in."""
        found = [one.message for one in self.findings(request) if "Deny" in one.actions]
        return list(dict.fromkeys(found))

    def findings(self, request: Request) -> Iterator[Finding]:
        """All that any policy in scope has to say."""
        for binding in self._bindings:
            policy = self._policies[binding["policyName"]]
            if not _matches(policy["matchConstraints"], request):
                continue
            if not _selected(binding.get("matchResources", {}), request):
                continue
            for message in _judged(policy, request):
                yield Finding(
                    policy=binding["policyName"],
                    message=message,
                    actions=tuple(binding["validationActions"]),
                )


def evaluate(expression: str, data: Mapping[str, object]) -> object:
    """The plain value of `expression`. Raises `CelError`."""
    try:
        compiled = _COMPILED.get(expression)
        if compiled is None:
            compiled = _COMPILED[expression] = _ENVIRONMENT.compile(expression)
        value = compiled.eval(data=data)
    except (RuntimeError, ValueError) as fault:
        raise CelError(f"{expression}: {fault}") from fault
    if value.type() == cel.Type.ERROR:
        raise CelError(f"{expression}: {value.plain_value()}")
    return value.plain_value()


def _judged(policy: Object, request: Request) -> Iterator[str]:
    data: dict[str, object] = {
        "object": _without_nulls(request.object),
        "oldObject": _without_nulls(request.old),
        "request": {
            "namespace": request.namespace,
            "operation": request.operation,
            "userInfo": {"groups": list(request.groups)},
        },
    }
    try:
        conditions = policy.get("matchConditions", ())
        if not all(evaluate(one["expression"], data) is True for one in conditions):
            return
    except CelError as fault:
        yield str(fault)
        return
    data["variables"] = variables = {}
    for one in policy.get("variables", ()):
        try:
            variables[one["name"]] = evaluate(one["expression"], data)
        except CelError:
            continue  # evaluated when used: whoever uses it fails
    for one in policy["validations"]:
        try:
            if evaluate(one["expression"], data) is not True:
                yield one["message"]
        except CelError as fault:
            yield f"{one['message']} ({fault})"


def _without_nulls(found: Any) -> Any:
    """As the API server hands objects on: a field that is null is not there."""
    if isinstance(found, Mapping):
        return {key: _without_nulls(one) for key, one in found.items() if one is not None}
    if isinstance(found, list):
        return [_without_nulls(one) for one in found]
    return found


def _matches(constraints: Object, request: Request) -> bool:
    return any(
        request.operation in rule["operations"] and request.resource in rule["resources"]
        for rule in constraints["resourceRules"]
    )


def _selected(resources: Object, request: Request) -> bool:
    namespace = {"kubernetes.io/metadata.name": request.namespace, **request.labels}
    wanted = resources.get("namespaceSelector", {})
    if request.resource != "namespaces" and not selects(wanted, namespace):
        return False
    one = resources.get("objectSelector", {})
    return any(
        selects(one, it["metadata"].get("labels", {}))
        for it in (request.object, request.old)
        if it is not None and "metadata" in it
    ) or (not one)


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes `labels`."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    return all(_expression(one, labels) for one in selector.get("matchExpressions", ()))


def _expression(one: Object, labels: Mapping[str, str]) -> bool:
    has = one["key"] in labels
    match one["operator"]:
        case "Exists":
            return has
        case "DoesNotExist":
            return not has
        case "In":
            return has and labels[one["key"]] in one["values"]
        case "NotIn":
            return not has or labels[one["key"]] not in one["values"]
        case other:
            raise ValueError(f"no such operator: {other}")
