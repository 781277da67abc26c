# METADATA
# title: Nothing untrusted is remembered where it is trusted
# description: |
#   A tool tagged `memory` may not write what stood in untrusted content into a namespace that
#   `limits.trusted` names: it would come back as if it had always been so. Where no argument names
#   the namespace it is held. What is written elsewhere keeps its label.
# labels:
#   owasp: [ASI06]
#   atlas: [AML.T0080]
package outrider.controls.memory_trust

import data.outrider.lib

# METADATA
# id: MM-01
# custom:
#   refs: [ASI06, T1, AML.T0080]
findings contains lib.finding("MM-01", _weight, _message, {"pointer": pointer}) if {
	not input.action.properties.class == "read"
	not input.resource.properties.tags == []
	"memory" in input.resource.properties.tags
	is_object(input.action.properties.provenance)
	some pointer, entry in input.action.properties.provenance
	not _is_clean(entry)
}

_message := "untrusted text would be remembered as trusted"

_is_clean(entry) if {
	entry.label in {"user", "record", "session", "platform", "model"}
	not _carries_something_untrusted(entry)
}

_carries_something_untrusted(entry) if {
	is_array(entry.tokens)
	some token in entry.tokens
	not _is_known(token)
}

_is_known(token) if token.label in {"user", "record", "session", "platform", "model"}

# Undefined where every namespace that is named is none of the trusted ones.
_weight := "hold" if {
	_namespaces == set()
} else := "deny" if {
	some namespace in _namespaces
	_is_trusted(namespace)
}

_namespaces contains value if {
	some role in ["selector", "target"]
	some value in lib.arguments_of(role)
	value != null
}

_is_trusted(namespace) if not is_string(namespace)

_is_trusted(namespace) if {
	is_string(namespace)
	some pattern in _trusted
	glob.match(pattern, ["/"], lower(namespace))
}

default _trusted := ["**"]

_trusted := data.outrider.rules["MM-01"].limits.trusted if is_array(data.outrider.rules["MM-01"].limits.trusted)
