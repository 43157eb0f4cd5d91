// Sets the theme before the first paint: the choice kept, else what the system prefers.
(() => {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const apply = () => {
    let kept = null;
    try { kept = localStorage.getItem('harrier.theme'); } catch { /* storage switched off: follow the system */ }
    document.documentElement.dataset.theme = kept ?? (system.matches ? 'dark' : 'light');
  };
  system.addEventListener('change', apply);
  apply();
})();
