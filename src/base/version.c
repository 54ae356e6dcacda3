/* SPDX-License-Identifier: MIT */
#include "tsproxy/version.h"

/* The commit is "" in a source tree that neither git nor `make dist` made (mk/cli.mk). */
const char ts_version[] = TSPROXY_VERSION TSPROXY_COMMIT_NOTE;
const char ts_version_json[] = "{\"version\":\"" TSPROXY_VERSION "\",\"commit\":\"" TSPROXY_COMMIT "\"}\n";
