// The rendering library, by one name for every page: components, hooks, templates.
import { h, Fragment, render } from '../vendor/preact.js';
import htm from '../vendor/htm.js';

export { Fragment, render };
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../vendor/hooks.js';

export const html = htm.bind(h);
