# METADATA
# title: No command from untrusted content
# description: |
#   Denies a command, or a part of one, that stood in untrusted content, whatever else was read.
#   Which commands there are at all is EF-05's.
# labels:
#   owasp: [ASI05]
#   atlas: [AML.M0032]
package outrider.controls.command_source

import data.outrider.lib

# METADATA
# id: CE-01
# custom:
#   refs: [ASI05, T11, AML.M0032]
findings contains lib.finding("CE-01", "deny", "the command stood in untrusted content", {"pointer": pointer}) if {
	not data.outrider.lib.plain_arguments
	is_object(input.action.properties.provenance)
	some pointer, entry in input.action.properties.provenance
	entry.role == "command"
	not _is_clean(entry)
}

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
