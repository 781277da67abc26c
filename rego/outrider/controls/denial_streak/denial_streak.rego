# METADATA
# title: Who is denied again and again only reads
# description: |
#   After `limits.denials_300s` denials over `limits.tools` different tools within 300 seconds the task
#   is narrowed to reading. What would change something now is denied with it.
# labels:
#   owasp: [ASI08, ASI10]
package outrider.controls.denial_streak

import data.outrider.lib

# METADATA
# id: SQ-25
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-25", _effect, "many tools were denied to this task", {"obligations": [
	{"type": "narrow", "grant": {"effects": ["read"]}},
	lib.notify("security", "high"),
]}) if {
	not input.context.behaviour.counters.denials_300s == 0
	not input.action.properties.phase == "list"
	not input.context.task.grant.effects == ["read"]
	not _is_quiet
}

default _effect := "deny"

_effect := "oblige" if input.action.properties.effect == "read"

_is_quiet if {
	denials := input.context.behaviour.counters.denials_300s
	lib.within(denials, 0, data.outrider.rules["SQ-25"].limits.denials_300s - 1)
}

_is_quiet if {
	tools := input.context.behaviour.signals.denied_tools_300s
	lib.within(tools, 0, data.outrider.rules["SQ-25"].limits.tools - 1)
	is_number(input.context.behaviour.counters.denials_300s)
}
