<?php
// SPDX-License-Identifier: MIT
// needs: php-cli php
// needs: php-curl file:/usr/lib/php/*/curl.so
// run: php {file} http://{url}:{port}/
// server: http
// set: fast
// mask: after \d+ ms|\d+ milliseconds
// PHP's curl extension, which PHP loads with RTLD_DEEPBIND: one transfer, then twenty at once.

function handle($url)
{
    $c = curl_init($url);
    curl_setopt_array($c, [CURLOPT_CONNECTTIMEOUT => 1, CURLOPT_RETURNTRANSFER => true]);
    return $c;
}

$c = handle($argv[1]);
echo curl_exec($c), curl_errno($c), ' ', curl_error($c), ' ', curl_getinfo($c, CURLINFO_PRIMARY_IP), "\n";
$multi = curl_multi_init();
$all = [];
for ($i = 0; $i < 20; $i++) {
    $all[] = $c = handle($argv[1] . $i);
    curl_multi_add_handle($multi, $c);
}
do {
    curl_multi_exec($multi, $running);
    curl_multi_select($multi, 0.2);
} while ($running);
$said = [];
while ($done = curl_multi_info_read($multi)) {
    $text = $done['result'] . ' ' . curl_multi_getcontent($done['handle']);
    $said[$text] = ($said[$text] ?? 0) + 1;
}
print_r($said);
