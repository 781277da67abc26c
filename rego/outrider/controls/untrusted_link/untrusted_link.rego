# METADATA
# title: No link from untrusted content is passed on
# description: |
#   A message or a share is held if its text carries a link, an address or an account number that
#   was seen in untrusted content and nowhere else. Who reads it trusts the sender.
# labels:
#   owasp: [ASI09]
#   atlas: [AML.T0052]
package outrider.controls.untrusted_link

import data.outrider.lib

# METADATA
# id: PV-05
# custom:
#   refs: [T15, ASI09, AML.T0052]
findings contains lib.finding("PV-05", "hold", _message, {"pointer": pointer}) if {
	input.action.properties.effect in {"send", "share"}
	not data.outrider.lib.plain_arguments
	is_object(input.action.properties.provenance)
	some pointer, entry in input.action.properties.provenance
	is_array(entry.tokens)
	some token in entry.tokens
	not _is_known(token)
}

_message := "a link or address in it stood in untrusted content only"

_is_known(token) if token.label in {"user", "record", "session", "platform", "model"}
