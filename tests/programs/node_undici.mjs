// SPDX-License-Identifier: MIT
// needs: node-undici file:/usr/share/nodejs/undici/index.js
// run: env NODE_PATH=/usr/share/nodejs node {file} http://{url}:{port}/
// server: http
// undici itself: a pool, pipelining, its own time-outs.
import { createRequire } from 'module';
const { Pool } = createRequire('/usr/share/nodejs/')('undici');
const pool = new Pool(process.argv[2].replace(/\/$/, ''), { connections: 8, pipelining: 2, connect: { timeout: 1000 } });
const said = {};

const one = () => pool.request({ path: '/', method: 'GET', headersTimeout: 3000 })
    .then(async r => `${r.statusCode} ${(await r.body.text()).trim()}`)
    .catch(e => `${e.name} ${e.code} ${e.message}`);
for (const line of await Promise.all([...Array(20)].map(one))) said[line] = (said[line] || 0) + 1;
console.log(said);
await pool.destroy();
