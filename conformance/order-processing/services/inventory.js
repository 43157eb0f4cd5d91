// Inventory, with amqplib: takes what was ordered off the shelf.

const fs = require('node:fs');
const amqp = require('amqplib');

const QUEUE = 'shop.inventory';
const url = process.env.AMQP_URL || 'amqp://guest:guest@127.0.0.1:5672/%2f';
const journal = process.env.JOURNAL || 'inventory.jsonl';
const handled = readJournal();

async function main() {
  for (;;) {
    try {
      await consume();
    } catch (error) {
      console.log(`connection lost, trying again: ${error.message}`);
    }
    await new Promise((wake) => setTimeout(wake, 200));
  }
}

// Handles orders until the connection breaks.
async function consume() {
  const connection = await amqp.connect(url);
  const closed = new Promise((_, reject) => {
    connection.on('error', reject);
    connection.on('close', () => reject(new Error('closed')));
  });
  // Awaited at the end only: until then a broken connection is no unhandled rejection.
  closed.catch(() => {});
  const channel = await connection.createChannel();
  await channel.prefetch(20);
  await channel.consume(QUEUE, (message) => settle(channel, message));
  await closed;
}

// Acknowledges one order, done now or before, or rejects it for good.
function settle(channel, message) {
  const entry = {
    message_id: message.properties.messageId,
    order_id: message.properties.correlationId,
    event: message.fields.routingKey,
    redelivered: message.fields.redelivered,
  };
  if (handled.has(entry.message_id)) {
    record('repeated', entry);
    channel.ack(message);
    return;
  }
  try {
    takeOffTheShelf(JSON.parse(message.content.toString()));
  } catch (error) {
    record('rejected', { ...entry, reason: error.message });
    channel.reject(message, false); // to the queue's dead-letter exchange
    return;
  }
  record('handled', entry);
  channel.ack(message);
}

function takeOffTheShelf(order) {
  for (const { sku, quantity } of order.items) {
    if (!(quantity >= 1)) throw new Error(`cannot take ${quantity} of ${sku} off the shelf`);
  }
}

// The journal is written before the message is settled: see journal.py.
function record(outcome, entry) {
  fs.appendFileSync(journal, JSON.stringify({ outcome, ...entry }) + '\n');
  if (outcome === 'handled') handled.add(entry.message_id);
}

function readJournal() {
  if (!fs.existsSync(journal)) return new Set();
  const lines = fs.readFileSync(journal, 'utf8').split('\n').filter(Boolean);
  const entries = lines.map((line) => JSON.parse(line));
  return new Set(entries.filter((e) => e.outcome === 'handled').map((e) => e.message_id));
}

main();
