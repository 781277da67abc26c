# METADATA
# title: The platform teams' own packages
# description: |
#   One line a package, each named in full. A package that is not named here has no say. Teams
#   write `findings` in `outrider.rules.<team>`; what these may do is settled in main.rego.
package outrider.rules

# METADATA
# description: What any team's rule found.
# scope: document
findings contains f if {
	input.action.properties.effect in {"pay", "send"}
	input.resource.properties.upstream == "tickets"
	some f in data.outrider.rules.helpdesk.findings
}

findings contains f if {
	input.action.properties.effect == "read"
	input.resource.properties.upstream == "people"
	some f in data.outrider.rules.helpdesk.findings
}
