"""What of a pod says where a name leads: the author's answer must not be a granted tool's.

The sidecar looks names up by the files that the kubelet writes of these fields for the whole pod.
"""

import re
from collections.abc import Iterator
from typing import Final

from outrider.injector.reading import Pod, members, objects, shown, words
from outrider.injector.reasons import DeniedError, Reason

_OPTION: Final = re.compile(r"[a-z0-9-]{1,63}", re.ASCII)
_VALUE: Final = re.compile(r"[0-9]{0,5}", re.ASCII)
_NDOTS: Final = frozenset("012345")
"""With more, a name of a tool's is first looked up below the pod's search domains."""


def refuse_names(pod: Pod) -> None:
    """Raises `DeniedError` for the first of `own_names`."""
    for found in own_names(pod):
        raise DeniedError(
            Reason.DNS_UNKNOWN,
            f"{found}, to the sidecar as well: take it away, or ask the platform team",
        )


def own_names(pod: Pod) -> Iterator[str]:
    """Each thing by which the author says where names lead, in words that name the field."""
    for alias in objects(pod.spec.get("hostAliases"), "spec.hostAliases"):
        names = words(alias.get("hostnames"), "spec.hostAliases.hostnames")
        yield f"spec.hostAliases says where {shown(', '.join(names)) or 'a name'} is"
    config = members(pod.spec.get("dnsConfig"), "spec.dnsConfig")
    searches = words(config.get("searches"), "spec.dnsConfig.searches")
    if searches:
        yield f"spec.dnsConfig.searches looks names up below {shown(', '.join(searches))}"
    for option in objects(config.get("options"), "spec.dnsConfig.options"):
        name, value = option.get("name"), option.get("value")
        if not isinstance(name, str) or _OPTION.fullmatch(name) is None:
            yield f"spec.dnsConfig.options has {shown(name)}, which is no option's name"
        elif value is not None and not (isinstance(value, str) and _VALUE.fullmatch(value)):
            yield f"spec.dnsConfig.options {name} is {shown(value)}, which is no number"
        elif name == "ndots" and value not in _NDOTS:
            yield f"spec.dnsConfig.options ndots is {shown(value)}, not 0 to 5: names are completed"
