// Looking at the broker again and again.
import { useCallback, useEffect, useRef, useState } from './ui.js';
import { useCell } from './cell.js';
import { get } from './api.js';
import { pulse, refresh } from './settings.js';

/** Loads that are on the screen, for the `r` key. */
const shown = new Set();

export function reloadAll() {
  for (const load of shown) load();
}

/**
 * Calls `load(signal)` now and then every so often, while the page can be seen.
 * Answers `{ data, error, reload }`; old data stay while a later look fails.
 * `key` names what is looked at: when it changes, what was there before is dropped.
 * `pace`: what costs the broker more is looked at so many times less often.
 */
export function useLive(load, key, { once = false, pace = 1 } = {}) {
  const every = useCell(refresh);
  const [state, setState] = useState({ key, data: null, error: null });
  const latest = useRef(load);
  latest.current = load;
  const abort = useRef(null);

  const look = useCallback(async () => {
    abort.current?.abort();
    const own = new AbortController();
    abort.current = own;
    try {
      const data = await latest.current(own.signal);
      if (own.signal.aborted) return;
      setState({ key, data, error: null });
      pulse.set('on');
    } catch (error) {
      if (own.signal.aborted || error.name === 'AbortError') return;
      setState((before) => ({ key, data: before.key === key ? before.data : null, error }));
      if (!error.status) pulse.set('lost');
    } finally {
      if (abort.current === own) abort.current = null;
    }
  }, [key]);

  useEffect(() => {
    look();
    shown.add(look);
    return () => {
      shown.delete(look);
      abort.current?.abort();
    };
  }, [look]);

  useEffect(() => {
    if (once || !every) return undefined;
    // An answer that takes longer than the time between two looks is waited for, not asked for anew.
    const wake = () => document.hidden || abort.current || look();
    const timer = setInterval(wake, every * pace);
    document.addEventListener('visibilitychange', wake);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', wake);
    };
  }, [look, every, once, pace]);

  const current = state.key === key ? state : { data: null, error: null };
  return { data: current.data, error: current.error, reload: look };
}

/** The same for one GET. */
export function useGet(target, options) {
  return useLive((signal) => get(target, { signal }), target, options);
}
