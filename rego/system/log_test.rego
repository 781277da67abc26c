package system.log_test

import data.system.log

test_arguments_headers_and_approvers_are_masked if {
	masked := log.mask with data.outrider.log as {}
	"/input/action/properties/arguments" in masked
	"/input/context/request/headers" in masked
	"/input/context/approval/approvers" in masked
}

test_a_bundle_adds_pointers_and_takes_none_away if {
	plain := log.mask with data.outrider.log as {}
	more := log.mask with data.outrider.log as {"mask": ["/input/subject/id", 7]}
	more == plain | {"/input/subject/id"}
}

test_what_policy_answered_is_not_masked if {
	masked := log.mask with data.outrider.log as {}
	every pointer in masked {
		startswith(pointer, "/input/")
	}
}
