# SPDX-License-Identifier: MIT
# How much stack a hook takes, by the compiler's call graphs (gcc).

.PHONY: check-stack stack-graphs check-stack-object
stack-graphs: $(OBJECT_O) $(B)/exports.map

check-stack-object:
	@$(MAKE) --no-print-directory B=$(B)/stack O='$(O) -fcallgraph-info=su' stack-graphs
	@scripts/check-stack $(B)/stack && echo "1 passed, 0 failed, 0 skipped"

check-stack: ## no hook takes more than 4 KiB of stack besides the real call (scripts/stack-calls)
	@tests/stack/run
	@$(MAKE) --no-print-directory check-stack-object
