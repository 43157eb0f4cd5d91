// Preloaded into rascal's own tests (node --require), so that they reach the management API of the
// broker under test. They name it `localhost:15672`, in what they expect of error messages as well,
// so the address stays and only the connection is led to HTTP_PORT. A test's wrong port stays wrong.
'use strict';

const http = require('http');

const RABBITMQ_MANAGEMENT_PORT = 15672;
const createConnection = http.Agent.prototype.createConnection;

http.Agent.prototype.createConnection = function connect(options, ...rest) {
  const asked = process.env.HTTP_PORT && Number(options.port) === RABBITMQ_MANAGEMENT_PORT;
  const address = asked ? { ...options, host: process.env.AMQP_HOST, port: Number(process.env.HTTP_PORT) } : options;
  return createConnection.call(this, address, ...rest);
};
