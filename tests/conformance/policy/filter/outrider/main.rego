# METADATA
# title: A few refusals, for the conformance suite
# description: >-
#   All is allowed but the named tools and prompt. The scenarios that need them are listed in
#   `tests/conformance/expected-failures.yaml`; they and no others may fail.
package outrider

_refused := {
	"conformance/test_audio_content",
	"conformance/test_image_content",
	"conformance/test_input_required_result_multi_round",
	"conformance/test_prompt_with_image",
	"conformance/test_tool_with_progress",
}

_is_refused if input.resource.id in _refused

_refusal := {
	"effect": "deny",
	"reasons": [{
		"code": "conformance",
		"message": "this name is refused so that its scenario fails",
		"severity": "low",
	}],
}

default decision := {"effect": "deny"}

# METADATA
# entrypoint: true
decision := {"effect": "allow"} if not _is_refused

decision := _refusal if _is_refused
