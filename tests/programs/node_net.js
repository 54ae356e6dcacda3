// SPDX-License-Identifier: MIT
// needs: nodejs node
// run: node {file} {host} {port}
// set: fast
// node's net: thirty connections at once, the events that each sees and their order.
const net = require('net');
const [host, port] = [process.argv[2], Number(process.argv[3])];
const said = {};

function one(i) {
    return new Promise(done => {
        const events = [], s = net.connect({ host, port });
        const data = Buffer.alloc(50000, `${i}\n`);
        let got = 0;
        s.setTimeout(1500, () => { events.push('timeout'); s.destroy(); });
        s.on('connect', () => {
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
