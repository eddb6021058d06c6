// The theme, the addresses (#layer-5-head-2-sv-3), and the beginning.

function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
  try {
    localStorage.setItem("sithctl-theme", theme);
  } catch {} // a browser may keep nothing for files
}

function startTheme() {
  const themes = ["system", "light", "dark"];
  let kept = null;
  try {
    kept = localStorage.getItem("sithctl-theme");
  } catch {}
  let now = Math.max(0, themes.indexOf(kept));
  setTheme(themes[now]);
  byId("theme").addEventListener("click", () => setTheme(themes[(now = (now + 1) % 3)]));
}

/** Open what the address names; false where it names nothing that is here. */
function follow() {
  const address = /^#(layer-\d+-head-\d+)(?:-sv-(\d+))?$/.exec(location.hash);
  const lost = address && !ORDER.includes(address[1]);
  byId("lost").textContent = lost ? `This report has no ${address[1].replaceAll("-", " ")}.` : "";
  if (!address || lost) return false;
  openCard(address[1], address[2] === undefined ? null : Number(address[2]));
  const item = address[2] === undefined ? null : byId(location.hash.slice(1));
  const target = item ?? byId("card-title");
  target.focus({ preventScroll: true });
  const { top, bottom } = target.getBoundingClientRect();
  if (item || top < 0 || bottom > innerHeight) target.scrollIntoView({ block: "start" });
  return true;
}

function start() {
  startMap();
  startSearch();
  addEventListener("hashchange", follow);
  addEventListener("click", (event) => { // an address that is open already makes no hashchange
    if (event.target.closest("a")?.getAttribute("href") === location.hash) follow();
  });
  if (follow()) return;
  const loudest = everywhere((head) => head).reduce((a, b) => (b.share > a.share ? b : a));
  openCard(loudest.id, null);
}

startTheme();
if (ORDER.length) start();
else byId("lost").textContent = "No explanation is left to show.";
