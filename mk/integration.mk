# SPDX-License-Identifier: MIT
# Real programs against real servers through the simulated tailnet, each test in a private namespace.

.PHONY: check-integration
check-integration: all ## real programs over the simulated tailnet (T=part of a name)
	@B=$(abspath $(B)) tests/integration/run $(T)
