# METADATA
# title: A preview changes nothing
# description: |
#   Denies an action that is asked for as a preview or dry run on a tool that changes things, unless
#   the manifest gives that argument the role `control`: then its owner says that the tool heeds it.
#   The names that ask for one are `limits.names`.
# labels:
#   owasp: [ASI09]
package outrider.controls.dry_run

import data.outrider.lib

# METADATA
# id: PV-06
# custom:
#   refs: [ASI09]
findings contains lib.finding("PV-06", "deny", _message, {"pointer": lib.pointer(name)}) if {
	not input.action.properties.class == "read"
	is_object(input.action.properties.arguments)
	some name, value in input.action.properties.arguments
	_asks(value)
	name in _names
	not _is_heeded(name)
}

_message := "nothing says that this tool heeds a dry run"

default _names := ["dry_run", "preview"]

_names := found if {
	found := data.outrider.rules["PV-06"].limits.names
	is_array(found)
}

_asks(value) if value in {true, 1}

_asks(value) if {
	is_string(value)
	lower(value) in {"true", "yes", "1", "on"}
}

_is_heeded(name) if data.outrider.lib.entry.arguments[name].role == "control"
