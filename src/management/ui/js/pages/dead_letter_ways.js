// Which queues dead letters reach: from a queue's settings through exchanges and bindings.

const setting = (queue, name) => queue.arguments?.[`x-${name}`] ?? queue.effective_policy_definition?.[name];

/** `[{ vhost, queue, exchange, key }]` of the queues that have a dead-letter exchange. */
export function deadLetterWays(queues) {
  return queues.flatMap((queue) => {
    const exchange = setting(queue, 'dead-letter-exchange');
    return exchange === undefined ? [] : [{ vhost: queue.vhost, queue: queue.name, exchange, key: setting(queue, 'dead-letter-routing-key') }];
  });
}

/** `[{ queue, sources: [names of the queues whose dead letters it takes], sendsOn: whether it has dead letters of its own }]` */
export function deadLetterQueues(queues, bindings) {
  const byName = new Map(queues.map((queue) => [`${queue.vhost}\n${queue.name}`, queue]));
  const from = new Map();
  for (const binding of bindings) {
    const key = `${binding.vhost}\n${binding.source}`;
    if (!from.has(key)) from.set(key, []);
    from.get(key).push(binding);
  }
  const sources = new Map();
  for (const { vhost, queue, exchange, key } of deadLetterWays(queues)) {
    for (const name of reached(vhost, exchange, key ?? null, queue, from)) {
      const end = byName.get(`${vhost}\n${name}`);
      if (!end) continue;
      if (!sources.has(end)) sources.set(end, new Set());
      sources.get(end).add(queue);
    }
  }
  return [...sources].map(([queue, names]) => ({ queue, sources: [...names].sort(), sendsOn: setting(queue, 'dead-letter-exchange') !== undefined }));
}

/** Queues that an exchange leads to. A direct binding must match the key where it is known; others may. */
function reached(vhost, exchange, key, self, from) {
  if (exchange === '') return [key ?? self];
  const found = new Set();
  const seen = new Set();
  const walk = (name) => {
    if (seen.has(name)) return;
    seen.add(name);
    const all = from.get(`${vhost}\n${name}`) ?? [];
    const exact = key === null ? [] : all.filter((binding) => binding.routing_key === key);
    for (const binding of exact.length ? exact : all) {
      if (binding.destination_type === 'queue') found.add(binding.destination);
      else walk(binding.destination);
    }
  };
  walk(exchange);
  return found;
}
