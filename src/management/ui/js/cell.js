// A value that components watch: what is shared beyond one page.
import { useEffect, useState } from './ui.js';

export class Cell {
  #value;
  #watchers = new Set();

  constructor(value) {
    this.#value = value;
  }

  get() {
    return this.#value;
  }

  set(value) {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** Calls `watcher` at each change; returns what ends that. */
  watch(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

/** A cell whose value outlives the page, in the browser's local storage. */
export class KeptCell extends Cell {
  #key;

  constructor(key, initial) {
    let value = initial;
    try {
      value = JSON.parse(localStorage.getItem(key)) ?? initial;
    } catch {
      // Storage switched off, or not ours: begin anew.
    }
    super(value);
    this.#key = key;
  }

  set(value) {
    super.set(value);
    try {
      localStorage.setItem(this.#key, JSON.stringify(value));
    } catch {
      // It holds for as long as the page is open.
    }
  }
}

export function useCell(cell) {
  const [, again] = useState(0);
  useEffect(() => cell.watch(() => again((n) => n + 1)), [cell]);
  return cell.get();
}
