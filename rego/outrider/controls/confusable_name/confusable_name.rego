# METADATA
# title: No tool with a name that only looks like another
# description: |
#   Denies a tool whose name holds letters that look like others (anything but printable ASCII), or
#   that differs from a declared one in the case of its letters alone.
# labels:
#   owasp: [ASI04]
#   atlas: [AML.T0104]
package outrider.controls.confusable_name

import data.outrider.lib

# METADATA
# id: SC-02
# custom:
#   refs: [ASI04, AML.T0104]
findings contains lib.finding("SC-02", "deny", "the tool's name only looks like one", {}) if {
	input.resource.type == "tool"
	not data.outrider.lib.plain_entry
	not _is_plain
}

# METADATA
# id: SC-02
# custom:
#   refs: [ASI04, AML.T0104]
findings contains lib.finding("SC-02", "deny", "the tool's name is another's but for its letters' case", {}) if {
	input.resource.type == "tool"
	not input.resource.properties.declared == true
	is_string(input.resource.id)
	some name in object.keys(_tools)
	name != _name
	lower(name) == lower(_name)
}

_is_plain if lib.is_plain(input.resource.id)

_tools := data.outrider.manifest[input.resource.properties.upstream].tools

_name := trim_prefix(input.resource.id, concat("", [input.resource.properties.upstream, "/"])) if {
	is_string(input.resource.properties.upstream)
}
