# METADATA
# title: Finding an account, its rights and changing them is a path
# description: |
#   A change of rights is held when the task has first listed principals and then read roles: an agent
#   that looks for a way up goes this way.
# labels:
#   owasp: [ASI03, ASI02]
package outrider.controls.privilege_path

import data.outrider.lib

# METADATA
# id: SQ-19
# custom:
#   refs: [ASI01, ASI02, ASI08, T2]
findings contains lib.finding("SQ-19", "hold", "this task listed principals, read roles and now changes one", {}) if {
	not input.resource.properties.tags == []
	not input.action.properties.phase == "list"
	not input.context.behaviour.tags == {}
	_may_write_roles
	not _went_another_way
}

_may_write_roles if not _is_another_tool

_is_another_tool if {
	is_array(input.resource.properties.tags)
	not _writes_roles
}

_writes_roles if "write_role" in input.resource.properties.tags

_went_another_way if {
	is_object(input.context.behaviour.tags)
	not input.context.behaviour.tags.list_principals
}

_went_another_way if {
	is_object(input.context.behaviour.tags)
	not input.context.behaviour.tags.read_role
}

_went_another_way if {
	listed := input.context.behaviour.tags.list_principals.age_s
	is_number(listed)
	read := input.context.behaviour.tags.read_role.age_s
	is_number(read)
	listed < read
}
