# METADATA
# title: What decides an action does not come from untrusted content
# description: |
#   Once something untrusted was read, an argument that decides what an action does or to whom is
#   held if it comes from there or was made up by the model; a credential or a command is denied.
#   A fetch of a made-up address is held, of one that stood in untrusted content recorded (held for
#   an agent of tier high that has read something sensitive). `limits.before_untrusted` names
#   effects (admin, pay) for which this holds from the start.
# labels:
#   owasp: [ASI01]
#   atlas: [AML.M0030]
package outrider.controls.untrusted_authority

import data.outrider.lib

# METADATA
# id: PV-01
# custom:
#   refs: [ASI01, T2, T6, AML.M0030]
findings contains lib.finding("PV-01", effect, message, {"pointer": doubt.pointer}) if {
	not input.context.behaviour.flags.untrusted_read == false
	not input.action.properties.class == "read"
	some doubt in data.outrider.lib.doubtful
	effect := _weight(doubt.role)
	message := _message(doubt)
}

# METADATA
# id: PV-01
# custom:
#   refs: [ASI01, T2, T6, AML.M0030]
findings contains lib.finding("PV-01", effect, message, {"pointer": doubt.pointer}) if {
	not input.context.behaviour.flags.untrusted_read == false
	input.action.properties.class == "read"
	some doubt in data.outrider.lib.doubtful
	effect := _weight_of_a_read(doubt)
	message := _message(doubt)
}

# METADATA
# id: PV-01
# custom:
#   refs: [ASI01, T2, T6, AML.M0030]
findings contains lib.finding("PV-01", effect, message, {"pointer": doubt.pointer}) if {
	input.action.properties.effect in {"admin", "pay"}
	input.action.properties.effect in data.outrider.rules["PV-01"].limits.before_untrusted
	some doubt in data.outrider.lib.doubtful
	effect := _weight(doubt.role)
	message := _message(doubt)
}

_weight(role) := "hold" if {
	role in {"destination", "target", "selector"}
} else := "deny"

# What a read looks for, and where within a known place, may come from anywhere.
_weight_of_a_read(doubt) := _weight_of_a_fetch(doubt) if {
	doubt.role == "destination"
} else := "deny" if {
	not _only_says_what_to_read(doubt)
}

_only_says_what_to_read(doubt) if doubt.role in {"target", "selector"}

_weight_of_a_fetch(doubt) := "hold" if {
	doubt.label == "model"
} else := "hold" if {
	# It looks like a place that is trusted, and is another.
	input.action.properties.provenance[doubt.pointer].confusable == true
} else := "hold" if {
	not input.context.behaviour.flags.sensitive_read == false
	not input.subject.properties.tier == "standard"
	not input.subject.properties.tier == "low"
} else := "oblige"

_message(doubt) := sprintf("%s comes from untrusted content", [doubt.pointer]) if {
	doubt.label == "untrusted"
} else := sprintf("%s was named by nobody but the model", [doubt.pointer])
