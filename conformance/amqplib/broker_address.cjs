// Preloaded into amqplib's own tests (node --require), so that they reach the broker under test.
//
// Several of those tests name the broker in their code (`amqp://localhost`, `amqp://[::1]`, or no
// address at all), where no environment variable can change it. Such a connection means "RabbitMQ
// on this machine's usual port"; it is led to AMQP_HOST:AMQP_PORT. Every other address, such as the
// fake servers the tests start themselves, is left alone.
'use strict';

const net = require('net');

const RABBITMQ_PORT = 5672;
const connect = net.connect;

// `localhost` may resolve to ::1 first, where a broker bound to 127.0.0.1 does not listen.
// A test that asks for ::1 by name must still get IPv6: only its port is replaced.
function brokerAddress(options) {
  if (typeof options !== 'object' || options === null) return options;
  if (Number(options.port) !== RABBITMQ_PORT) return options;
  const host = options.host === '::1' ? '::1' : process.env.AMQP_HOST;
  return { ...options, host, port: Number(process.env.AMQP_PORT) };
}

net.connect = (options, ...rest) => connect(brokerAddress(options), ...rest);
