<?php
// SPDX-License-Identifier: MIT
// needs: php-cli php
// run: php -d display_errors=stdout {file} {url} {port}
// server: http
// set: fast
// PHP: fsockopen, an asynchronous stream with stream_select, file_get_contents.
[, $host, $port] = $argv;

$s = @fsockopen($host, (int)$port, $errno, $error, 1);
if ($s) {
    fwrite($s, "GET / HTTP/1.0\r\n\r\n");
    echo strtok(stream_get_contents($s), "\r"), ' ', stream_socket_get_name($s, true), "\n";
} else {
    echo "$errno $error\n";
}
$started = 0;
$waiting = [];
for ($i = 0; $i < 20; $i++) {
    $s = @stream_socket_client("tcp://$host:$port", $errno, $error, 1, STREAM_CLIENT_CONNECT | STREAM_CLIENT_ASYNC_CONNECT);
    if ($s)
        $waiting[] = $s;
    else
        echo "$errno $error\n";
}
$end = microtime(true) + 1;
$said = [];
while ($waiting && microtime(true) < $end) {
    $r = null;
    $w = $waiting;
    $x = null;
    if (!stream_select($r, $w, $x, 0, 200000))
        continue;
    foreach ($w as $s) {
        $name = stream_socket_get_name($s, true) ?: 'not connected';
        $said[$name] = ($said[$name] ?? 0) + 1;
        array_splice($waiting, array_search($s, $waiting, true), 1);
    }
}
print_r($said);
echo count($waiting), " left\n";
ini_set('default_socket_timeout', '1');
echo file_get_contents("http://$host:$port/") ?: "nothing\n";
