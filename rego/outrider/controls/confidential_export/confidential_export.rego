# METADATA
# title: After a confidential read, nothing goes outside to whom nobody named
# description: |
#   What changes something is held if it reaches a place that is not internal and that neither the
#   user nor the user's own records name; denied once a secret was read.
# labels:
#   owasp: [ASI02]
#   nhi: [NHI2]
#   atlas: [AML.T0086]
package outrider.controls.confidential_export

import data.outrider.lib

# METADATA
# id: PV-03
# custom:
#   refs: [ASI02, AML.T0086, NHI2]
findings contains lib.finding("PV-03", _effect, _message, {"pointer": place.pointer}) if {
	not input.action.properties.class == "read"
	not input.context.behaviour.highest_sensitivity_read == null
	not input.context.behaviour.highest_sensitivity_read == "public"
	not input.context.behaviour.highest_sensitivity_read == "internal"
	is_array(input.action.properties.destinations)
	some place in input.action.properties.destinations
	is_string(place.pointer)
	not _may_have(place)
}

# METADATA
# id: PV-03
# custom:
#   refs: [ASI02, AML.T0086, NHI2]
findings contains lib.finding("PV-03", _effect, _message, {}) if {
	not input.action.properties.class == "read"
	not input.context.behaviour.highest_sensitivity_read == null
	not input.context.behaviour.highest_sensitivity_read == "public"
	not input.context.behaviour.highest_sensitivity_read == "internal"
	not _upstream_may_have
}

_upstream_may_have if {
	is_array(input.action.properties.destinations)
	input.action.properties.destinations != []
	every place in input.action.properties.destinations {
		_is_an_arguments_or_internal(place)
	}
}

_is_an_arguments_or_internal(place) if is_string(place.pointer)

_is_an_arguments_or_internal(place) if place.zone == "internal"

_may_have(place) if place.zone == "internal"

_may_have(place) if lib.label_at(place.pointer) in {"user", "record"}

default _effect := "deny"

_effect := "hold" if input.context.behaviour.highest_sensitivity_read == "confidential"

_message := "what is confidential was read; nobody named this place outside"
