# SPDX-License-Identifier: MIT
# A tailnet of real daemons: tests/tailnet. tailscaled and its control server are built once, from Go modules.

TAILNET := $(B)/tailnet/tailscaled $(B)/tailnet/tailscale $(B)/tailnet/control

.PHONY: tailnet-world check-tailnet tailnet-shell
tailnet-world: $(TAILNET)

$(TAILNET) &: tests/tailnet/go.mod tests/tailnet/go.sum tests/tailnet/control/main.go
	@mkdir -p $(B)/tailnet
	cd tests/tailnet && CGO_ENABLED=0 go build -o $(abspath $(B))/tailnet/ \
		tailscale.com/cmd/tailscaled tailscale.com/cmd/tailscale ./control
	@touch $(TAILNET)

check-tailnet: all ## the scenario on real tailscaleds (T=part of a title)
	@tests/tailnet/run --build $(B) $(if $(T),"$(T)")

tailnet-shell: all ## a shell in a tailnet of real tailscaleds
	@tests/tailnet/run --build $(B) --shell
