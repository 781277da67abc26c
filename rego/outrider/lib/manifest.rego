package outrider.lib

_upstream := data.outrider.manifest[input.resource.properties.upstream]

_name := trim_prefix(input.resource.id, concat("", [input.resource.properties.upstream, "/"])) if {
	is_string(input.resource.id)
	is_string(input.resource.properties.upstream)
}

# METADATA
# description: |
#   The manifest's entry of what is called: a tool by name, an operation by "METHOD /template" or
#   by its operation_id. Undefined where the manifest does not name it.
# scope: document
entry := _upstream.tools[_name] if input.resource.type == "tool"

entry := _upstream.operations[_name] if input.resource.type == "api"

entry := operation if {
	input.resource.type == "api"
	is_object(_upstream.operations)
	some operation in _upstream.operations
	operation.operation_id == _name
}

# METADATA
# description: |
#   Whether the manifest names what is called and gives it no argument that is a path, a URL or a
#   credential. What looks for one of these asks this first.
plain_entry if {
	is_object(entry.arguments)
	every declared in entry.arguments {
		not declared.role == "credential"
		not declared.type == "path"
		not declared.type == "url"
	}
}

# METADATA
# description: |
#   The values of every argument the manifest gives the role `role`, by name; null where the call
#   does not bring it, and while listing. Empty where the manifest declares none.
arguments_of(role) := {name: argument.value |
	some name, argument in _given
	argument.role == role
}

# Bound in the body: a head that is undefined for one argument ends the rule for all in regorus.
_given[name] := {"role": role, "value": object.get(_arguments, _path(name), null)} if {
	is_object(entry.arguments)
	some name, declared in entry.arguments
	is_object(declared)
	role := declared.role
}

default _arguments := {}

_arguments := input.action.properties.arguments if is_object(input.action.properties.arguments)

# An argument is named as the tool names it ("to"), or by JSON pointer ("/to/0/address").
_path(name) := [name] if not startswith(name, "/")

_path(name) := [replace(replace(part, "~1", "/"), "~0", "~") |
	some part in array.slice(split(name, "/"), 1, 64)
] if {
	startswith(name, "/")
}

# METADATA
# description: What names an argument in the grant and in answers, a JSON pointer.
# scope: document
pointer(name) := name if startswith(name, "/")

pointer(name) := concat("", ["/", replace(replace(name, "~", "~0"), "/", "~1")]) if not startswith(name, "/")
