// SPDX-License-Identifier: MIT
// needs: nodejs node
// run: env UV_USE_IO_URING=1 node {file} {host} {port}
// set: fast
// The same where libuv is asked to use io_uring, and files read while connections are made.
const fs = require('fs'), net = require('net');
const [host, port] = [process.argv[2], Number(process.argv[3])];
const said = {};

function one(i) {
    return new Promise(done => {
        const events = [], s = net.connect({ host, port });
        const data = Buffer.alloc(50000, `${i}\n`);
        let got = 0;
        s.setTimeout(1500, () => { events.push('timeout'); s.destroy(); });
        s.on('connect', async () => {
            events.push((await fs.promises.readFile(__filename, 'utf8')).length);
            events.push('connect', s.remoteAddress, s.remotePort, s.remoteFamily, s.localAddress);
            s.write(data);
        });
        s.on('data', part => { got += part.length; if (got === data.length) s.end(); });
        s.on('end', () => events.push('end', got));
        s.on('error', e => events.push('error', e.code, e.syscall, e.address, e.port, e.message));
        s.on('close', hadError => { events.push('close', hadError); done(events.join(' ')); });
    });
}

Promise.all([...Array(30).keys()].map(one)).then(all => {
    for (const line of all) said[line] = (said[line] || 0) + 1;
    for (const line in said) console.log(said[line], line);
});
