#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py BUILD [PART OF A NAME]: tests of the launcher. It opens no socket."""
import sys

import harness
import env_test          # noqa: F401 (registers its tests)
import options_test      # noqa: F401
import program_test      # noqa: F401
import refresh_test      # noqa: F401
import run_test          # noqa: F401

if __name__ == '__main__':
    harness.main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else '')
