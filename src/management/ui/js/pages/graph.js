// Lays out the ways of messages: exchanges on the left, what they feed further right. A queue's dead
// letters lead on from it.

const NODE = { width: 210, height: 38, gapX: 160, gapY: 14, margin: 24 };

export const nodeId = (type, name) => `${type === 'queue' ? 'q' : 'e'} ${name}`;

/** Bindings between the same two ends are one edge with several keys. */
function edgesOf(bindings, deadLetterWays) {
  const edges = new Map();
  const add = (from, to, key, dead) => {
    const id = `${from}\n${to}`;
    if (!edges.has(id)) edges.set(id, { id, from, to, keys: [], dead });
    edges.get(id).keys.push(key);
  };
  for (const { source, destination, destination_type: type, routing_key: key } of bindings) add(nodeId('exchange', source), nodeId(type, destination), key, false);
  for (const { queue, exchange, key } of deadLetterWays) {
    add(nodeId('queue', queue), exchange === '' ? nodeId('queue', key ?? queue) : nodeId('exchange', exchange), key ?? '', true);
  }
  return [...edges.values()];
}

/** Edges without those that close a circle, as retries by way of a waiting queue do. */
function withoutCircles(nodes, edges) {
  const from = Map.groupBy(edges, (edge) => edge.from);
  const fed = new Set(edges.filter(({ dead }) => !dead).map(({ to }) => to));
  const onTheWay = new Set();
  const done = new Set();
  const kept = [];
  const walk = (id) => {
    onTheWay.add(id);
    for (const edge of from.get(id) ?? []) {
      if (onTheWay.has(edge.to)) continue;
      kept.push(edge);
      if (!done.has(edge.to)) walk(edge.to);
    }
    onTheWay.delete(id);
    done.add(id);
  };
  const roots = [...nodes.keys()].sort((a, b) => Number(fed.has(a)) - Number(fed.has(b)));
  for (const id of roots) if (!done.has(id)) walk(id);
  return kept;
}

/** How far right each node stands: one further than the furthest that feeds it. */
function columnsOf(nodes, edges) {
  const column = new Map([...nodes.keys()].map((id) => [id, 0]));
  for (let moved = true; moved;) {
    moved = false;
    for (const { from, to } of edges) {
      if (column.get(to) <= column.get(from)) {
        column.set(to, column.get(from) + 1);
        moved = true;
      }
    }
  }
  return column;
}

/** Puts each node near the middle of those that feed it, which keeps edges from crossing. */
function ordered(column, edges, place) {
  const centre = (id) => {
    const rows = edges.filter(({ to }) => to === id).map(({ from }) => place.get(from)).filter((row) => row !== undefined);
    return rows.length ? rows.reduce((sum, row) => sum + row, 0) / rows.length : Number.MAX_SAFE_INTEGER;
  };
  return column.map((id) => [centre(id), id]).sort(([a, x], [b, y]) => a - b || x.localeCompare(y)).map(([, id]) => id);
}

/**
 * `deadLetterWays`: `[{ queue, exchange, key }]`.
 * Answers `{ nodes: [{ id, type, name, x, y }], edges: [{ id, path, label, keys, dead, from, to }], width, height, size }`.
 */
export function layOut(bindings, deadLetterWays) {
  const edges = edgesOf(bindings, deadLetterWays);
  const nodes = new Map();
  for (const id of edges.flatMap(({ from, to }) => [from, to])) nodes.set(id, { type: id.startsWith('q') ? 'queue' : 'exchange', name: id.slice(2) });
  const forward = withoutCircles(nodes, edges);
  const columns = [];
  for (const [id, at] of columnsOf(nodes, forward)) (columns[at] ??= []).push(id);
  const place = new Map();
  const drawn = [];
  columns.forEach((ids, at) => {
    ordered(ids, forward, place).forEach((id, row) => {
      place.set(id, row);
      drawn.push({ id, ...nodes.get(id), x: NODE.margin + at * (NODE.width + NODE.gapX), y: NODE.margin + row * (NODE.height + NODE.gapY) });
    });
  });
  const at = new Map(drawn.map((node) => [node.id, node]));
  const rows = Math.max(0, ...columns.map((ids) => ids.length));
  return {
    nodes: drawn,
    edges: edges.map((edge) => ({ ...edge, ...curve(at.get(edge.from), at.get(edge.to)) })),
    width: 2 * NODE.margin + columns.length * NODE.width + Math.max(0, columns.length - 1) * NODE.gapX,
    height: 2 * NODE.margin + rows * (NODE.height + NODE.gapY) - NODE.gapY,
    size: NODE,
  };
}

function curve(from, to) {
  const [x1, y1] = [from.x + NODE.width, from.y + NODE.height / 2];
  const [x2, y2] = [to.x, to.y + NODE.height / 2];
  // Backwards, the line leaves below the boxes.
  const bend = x2 > x1 ? (x2 - x1) / 2 : 90;
  const path = `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  return { path, label: { x: x2 - 10, y: y2 - 5 } };
}
