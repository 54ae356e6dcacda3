// SPDX-License-Identifier: MIT
// Fetches a page by http.get and prints it, then opens a bare socket to the same server and prints its peer.
'use strict';
const http = require('http');
const net = require('net');
const url = new URL(process.argv[2]);

http.get(url, { agent: false }, (res) => {
  res.pipe(process.stdout, { end: false });
  res.on('end', () => {
    const s = net.connect(url.port, url.hostname, () => {
      console.log(`peer ${s.remoteAddress} ${s.remotePort}`);
      s.destroy();
    });
  });
});
