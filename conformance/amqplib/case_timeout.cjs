// Preloaded into amqplib's own tests (node --require): gives each case and hook a time limit.
//
// Without one, a case that waits for an answer the broker never gives stops its whole file. Node's
// own option for this (--test-timeout) is missing in Node 18 and limits whole files, not cases.
'use strict';

const test = require('node:test');

const LIMIT = { timeout: Number(process.env.CASE_TIMEOUT_MS) };
const { it, afterEach } = test;

test.it = (name, body) => it(name, LIMIT, body);
test.afterEach = (body) => afterEach(body, LIMIT);
