# METADATA
# title: Rates and budgets
# description: |
#   Denies more calls in a minute than `limits.calls_60s` (`limits.by_class` for a class of agents),
#   and whatever a task asks past one of its budgets. The sidecar keeps budgets itself; this serves
#   who asks for decisions only.
# labels:
#   owasp: [ASI02]
#   atlas: [AML.T0034.002]
package outrider.controls.rates

import data.outrider.lib

# METADATA
# id: RL-01
# custom:
#   refs: [ASI02, T4, AML.T0034.002]
findings contains lib.finding("RL-01", "deny", "too many calls in a minute", {}) if {
	not data.outrider.lib.is_unhurried
	not _is_slow
}

# METADATA
# id: RL-01
# custom:
#   refs: [ASI02, T4, AML.T0034.002]
findings contains lib.finding("RL-01", "deny", message, {}) if {
	is_object(input.context.task.budget)
	some name, budget in input.context.task.budget
	not budget.limit == null
	lib.over(object.get(budget, "used", null), object.get(budget, "limit", null))
	message := sprintf("the task has spent its budget of %s", [name])
}

_is_slow if {
	limits := data.outrider.rules["RL-01"].limits
	lib.within(input.context.behaviour.counters.calls_60s, 0, _most(limits))
}

_most(limits) := most if {
	most := limits.by_class[data.outrider.lib.agent.class]
	is_number(most)
} else := limits.calls_60s
