// SPDX-License-Identifier: MIT
// needs: nodejs node
// run: node {file} http://{url}:{port}/
// server: http
// set: fast
// node's http with a kept-alive agent, and fetch, which is undici.
const http = require('http');
const url = process.argv[2];
const agent = new http.Agent({ keepAlive: true, maxSockets: 10 });

const get = () => new Promise(done => {
    const request = http.get(url, { agent, timeout: 1000 }, r => {
        const { remoteAddress, localAddress } = r.socket;
        let text = '';
        r.on('data', d => { text += d; });
        r.on('end', () => done(`${r.statusCode} ${text.trim()} ${remoteAddress} ${localAddress}`));
    });
    request.on('timeout', () => request.destroy(new Error('my time-out')));
    request.on('error', e => done(`${e.code} ${e.message}`));
});
const fetched = () => fetch(url, { signal: AbortSignal.timeout(1000) })
    .then(async r => `${r.status} ${(await r.text()).trim()}`)
    .catch(e => `${e.name} ${e.message} ${e.cause && e.cause.code} ${e.cause && e.cause.message}`);

(async () => {
    for (const way of [get, ...(typeof fetch === 'function' ? [fetched] : [])]) {
        const said = {};
        for (const line of await Promise.all([...Array(20)].map(way))) said[line] = (said[line] || 0) + 1;
        console.log(way.name, said);
    }
    process.exit();     // what was given up may be connecting still
})();
