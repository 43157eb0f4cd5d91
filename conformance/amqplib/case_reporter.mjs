// node:test reporter that prints one line a case, in the form conformance/run reads.
//
// Suites are not cases: a case's name is the path of its suites and its own name, under the
// test file's name (CASE_PREFIX), with every character that a case name cannot hold made '-'.

const prefix = process.env.CASE_PREFIX ?? '';

function caseName(path) {
  return [prefix, ...path].join('/').replace(/[^\w./:]+/g, '-');
}

// The innermost error says what went wrong; node:test wraps it once or more.
function reason(error) {
  let inner = error;
  while (inner?.cause instanceof Error) inner = inner.cause;
  return String(inner?.cause ?? inner?.message ?? inner).replace(/\s+/g, ' ').slice(0, 200);
}

function resultLine(name, { type, data }) {
  if (data.skip !== undefined && data.skip !== false) return `skip ${name} # skipped by the suite itself\n`;
  if (type === 'test:pass') return `ok ${name}\n`;
  return `not ok ${name} # ${reason(data.details.error)}\n`;
}

export default async function* caseReporter(events) {
  const path = [];
  for await (const event of events) {
    const { type, data } = event;
    if (type === 'test:start') {
      path.length = data.nesting;
      path.push(data.name);
    } else if (type === 'test:pass' || type === 'test:fail') {
      const name = caseName([...path.slice(0, data.nesting), data.name]);
      // A suite fails when a case in it does; it is told apart only when no case explains it.
      const isSuite = data.details?.type === 'suite';
      const ownFailure = type === 'test:fail' && data.details.error?.failureType !== 'subtestsFailed';
      if (!isSuite || ownFailure) yield resultLine(name, event);
    }
  }
}
