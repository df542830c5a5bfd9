"use strict";
// Without any of this the page is whole; with it, it shows what is new by itself, and copies.
const root = document.documentElement, lost = document.getElementById("lost"), pause = document.getElementById("pause");
let paused = false;

const busy = () => paused || document.hidden || !getSelection().isCollapsed ||
  document.activeElement.matches("input, select");

function show(found) {
  const old = document.getElementById("main"), main = found.getElementById("main");
  const links = it => [...it.querySelectorAll("a, button, summary, [tabindex]")];
  const place = links(old).indexOf(document.activeElement);
  for (const {id, open} of old.querySelectorAll("details")) found.getElementById(id)?.toggleAttribute("open", open);
  old.replaceWith(main);
  if (place >= 0) links(main)[place]?.focus({preventScroll: true});
  document.title = found.title;
  document.querySelector("link[rel=icon]").href = found.querySelector("link[rel=icon]").href;
  root.dataset.every = found.documentElement.dataset.every;
  reveal();
}

async function refresh() {
  if (busy()) return;
  try {
    const answer = await fetch(location.href, {signal: AbortSignal.timeout(20000)});
    const text = await answer.text();
    if (!busy()) show(new DOMParser().parseFromString(text, "text/html"));
    lost.hidden = true;
  } catch {
    lost.textContent = root.dataset.lost.replace("{time}", document.getElementById("main").dataset.at);
    lost.hidden = false;
  }
}

async function again() {
  await refresh();
  setTimeout(again, 1000 * root.dataset.every);
}

// Where the clipboard is out of reach, as over plain HTTP, a click still selects what is to be copied.
function reveal() {
  for (const it of document.querySelectorAll("[data-copy]")) it.hidden = !navigator.clipboard;
}

document.addEventListener("click", async ({target}) => {
  if (target.matches("[data-copy]")) {
    await navigator.clipboard.writeText(target.dataset.copy);
    target.textContent = target.dataset.copied;
  } else if (target === pause) {
    paused = !paused;
    [pause.textContent, pause.dataset.other] = [pause.dataset.other, pause.textContent];
    if (!paused) refresh();
  }
});
document.addEventListener("visibilitychange", refresh);
if (pause) pause.hidden = false;
reveal();
setTimeout(again, 1000 * root.dataset.every);
