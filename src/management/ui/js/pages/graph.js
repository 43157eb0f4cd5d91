// Lays out the ways of messages: exchanges on the left, what they feed further right.

const NODE = { width: 210, height: 38, gapX: 150, gapY: 14, margin: 24 };

export const nodeId = (type, name) => `${type === 'queue' ? 'q' : 'e'} ${name}`;

/** Bindings between the same two ends are one edge with several keys. */
function edgesOf(bindings) {
  const edges = new Map();
  for (const binding of bindings) {
    const from = nodeId('exchange', binding.source);
    const to = nodeId(binding.destination_type, binding.destination);
    const id = `${from}\n${to}`;
    if (!edges.has(id)) edges.set(id, { id, from, to, keys: [] });
    edges.get(id).keys.push(binding.routing_key);
  }
  return [...edges.values()];
}

/** How far right each node stands: one further than the furthest that feeds it; cycles end the walk. */
function columnsOf(nodes, edges) {
  const column = new Map([...nodes.keys()].map((id) => [id, 0]));
  for (let round = 0; round < 8; round += 1) {
    let moved = false;
    for (const { from, to } of edges) {
      if (from !== to && column.get(to) <= column.get(from) && column.get(from) < 7) {
        column.set(to, column.get(from) + 1);
        moved = true;
      }
    }
    if (!moved) break;
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

/** `{ nodes: [{ id, type, name, x, y }], edges: [{ path, keys, from, to, … }], width, height }` */
export function layOut(bindings) {
  const edges = edgesOf(bindings);
  const nodes = new Map();
  for (const binding of bindings) {
    nodes.set(nodeId('exchange', binding.source), { type: 'exchange', name: binding.source });
    nodes.set(nodeId(binding.destination_type, binding.destination), { type: binding.destination_type, name: binding.destination });
  }
  const column = columnsOf(nodes, edges);
  const columns = [];
  for (const [id, at] of column) (columns[at] ??= []).push(id);
  const place = new Map();
  const drawn = [];
  columns.forEach((ids, at) => {
    ordered(ids ?? [], edges, place).forEach((id, row) => {
      place.set(id, row);
      drawn.push({ id, ...nodes.get(id), x: NODE.margin + at * (NODE.width + NODE.gapX), y: NODE.margin + row * (NODE.height + NODE.gapY) });
    });
  });
  const at = new Map(drawn.map((node) => [node.id, node]));
  const rows = Math.max(0, ...columns.map((ids) => ids?.length ?? 0));
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
  const bend = Math.max(40, Math.abs(x2 - x1) / 2);
  return { path: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`, label: { x: (x1 + x2) / 2, y: (y1 + y2) / 2 - 5 } };
}
