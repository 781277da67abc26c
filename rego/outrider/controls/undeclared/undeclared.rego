# METADATA
# title: What the manifest does not name is not done in production
# description: |
#   A tool nobody declared counts as `execute`: denied in production, held elsewhere. Where
#   environment is unknown it is production.
# labels:
#   owasp: [ASI02]
#   nhi: [NHI5]
#   csf: [PR.AA-05]
package outrider.controls.undeclared

import data.outrider.lib

# METADATA
# id: TS-02
# custom:
#   refs: [ASI02, NHI5, PR.AA-05]
findings contains lib.finding("TS-02", "deny", "the manifest does not name this, and this is production", {}) if {
	not input.resource.properties.declared == true
	_counts_as_execute
	not lib.outside_production
}

# METADATA
# id: TS-02
# custom:
#   refs: [ASI02, NHI5, PR.AA-05]
findings contains lib.finding("TS-02", "hold", "the manifest does not name this: a person decides", {}) if {
	not input.resource.properties.declared == true
	_counts_as_execute
	lib.outside_production
}

_counts_as_execute if input.action.properties.effect == "execute"

_counts_as_execute if input.resource.type == "tool"
