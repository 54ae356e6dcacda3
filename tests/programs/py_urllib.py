# SPDX-License-Identifier: MIT
# run: /usr/bin/python3 {file} http://{url}:{port}/
# server: http
"""urllib and http.client, with a time-out."""
import sys
import urllib.request

for timeout in (1.5, 1):
    try:
        print(urllib.request.urlopen(sys.argv[1], timeout=timeout).read())
    except OSError as e:
        print(repr(e))
