// Mocha reporter that prints one line a case, in the form conformance/run reads.
//
// A case's name is the path of its suites and its own name, under the test file's name
// (CASE_PREFIX), with every character that a case name cannot hold made '-'.
'use strict';

function caseName(test) {
  const path = [];
  for (let node = test; node; node = node.parent) {
    if (node.title) path.unshift(node.title);
  }
  return [process.env.CASE_PREFIX, ...path].join('/').replace(/[^\w./:]+/g, '-');
}

function reason(error) {
  return String((error && error.message) || error).replace(/\s+/g, ' ').slice(0, 200);
}

// Mocha reports a case a second time when it calls back twice; a case that failed once has failed.
module.exports = function caseReporter(runner) {
  const failures = new Map();
  const passes = new Set();
  const skips = new Set();
  runner.on('pass', (test) => passes.add(caseName(test)));
  runner.on('pending', (test) => skips.add(caseName(test)));
  runner.on('fail', (test, error) => failures.set(caseName(test), reason(error)));
  runner.on('end', () => {
    for (const name of passes) if (!failures.has(name)) console.log(`ok ${name}`);
    for (const [name, why] of failures) console.log(`not ok ${name} # ${why}`);
    for (const name of skips) console.log(`skip ${name} # skipped by the suite itself`);
  });
};
