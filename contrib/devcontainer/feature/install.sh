#!/bin/sh
# SPDX-License-Identifier: MIT
# The feature's options are in the variables ARCHIVE and TAILSCALE, each a URL or a file. Runs as root while the image is built.
# tsproxy is made active in each new shell of the container's user (_REMOTE_USER, with the home directory _REMOTE_USER_HOME).
set -eu

get() { # URL|FILE
	case $1 in
	http://* | https://*)
		if command -v curl >/dev/null; then
			curl -fsSL "$1"
		else
			wget -qO- "$1"
		fi
		;;
	*) cat "$1" ;;
	esac
}

get "$ARCHIVE" >/tmp/tsproxy.tar.gz
tar -C /usr/local --strip-components=1 --no-same-owner -xzf /tmp/tsproxy.tar.gz
rm /tmp/tsproxy.tar.gz
if [ -n "$TAILSCALE" ]; then
	get "$TAILSCALE" >/tmp/tailscale.tgz
	tar -C /usr/local/bin --strip-components=1 --no-same-owner -xzf /tmp/tailscale.tgz
	rm -r /tmp/tailscale.tgz /usr/local/bin/systemd 2>/dev/null || :
fi
HOME=$_REMOTE_USER_HOME tsproxy env --shell bash --install
chown "$_REMOTE_USER:" "$_REMOTE_USER_HOME/.bashrc"
