#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: nginx nginx
# needs: curl curl
# run: sh {file} {url} {port}
# server: http
# set: fast
# nginx hands thirty requests on to the peer (proxy_pass), as it does with its keep-alive and its own time-out.
mkdir logs
cat > conf <<END
worker_processes 2; pid nginx.pid; error_log error.log error; user root;
events { worker_connections 256; }
http {
	access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
	upstream peer { server $1:$2 max_fails=0; keepalive 4; }
	server {
		listen unix:$PWD/socket;
		location / { proxy_pass http://peer; proxy_connect_timeout 1s; proxy_http_version 1.1; proxy_set_header Connection ''; }
	}
}
END
nginx -p "$PWD" -c "$PWD/conf" -e error.log
seq -f 'url = http://x/%.0f
output = /dev/null' 30 > urls
curl -s --no-progress-meter --unix-socket socket -Z --parallel-immediate --parallel-max 30 -w '%{http_code}\n' -K urls | sort | uniq -c
curl -sS --unix-socket socket http://x/
nginx -p "$PWD" -c "$PWD/conf" -e error.log -s stop 2> /dev/null
sed '/signal process started/d; s/.*\(connect() failed[^,]*\|upstream timed out[^,]*\),.*upstream: "\([^"]*\/\)[0-9]*".*/\1 \2/' error.log | sort | uniq -c
