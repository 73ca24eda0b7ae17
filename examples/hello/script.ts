// The page's script. Without it the button loads the page anew, with another number.

export const SCRIPT = `"use strict";
const find = (id) => document.getElementById(id);
const form = document.querySelector("form");

function put(id, text) {
  const place = find(id);
  if (place && text !== null) place.textContent = text;
}

function complain(text) {
  put("told", text);
  find("told").classList.add("bad");
}

function travelled(milliseconds) {
  put("took", "There and back in " + milliseconds.toFixed(1) + " ms.");
  const way = document.querySelector(".way");
  way.classList.remove("travelled");
  void way.offsetWidth;
  way.classList.add("travelled");
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const path = "/random?" + new URLSearchParams(new FormData(form));
  const since = performance.now();
  try {
    const answer = await fetch(path, { cache: "no-store" });
    const text = (await answer.text()).trim();
    if (!answer.ok) return complain(text);
    travelled(performance.now() - since);
    put("number", text);
    find("number").classList.toggle("long", text.length > 5);
    put("told", "");
    put("asked", "GET " + path);
    put("drawn", "draws " + text + " from " + form.min.value + " to " + form.max.value);
    put("fact-path", path);
    find("counted")?.parentElement.remove(); // this request is no visit
    put("fact-x-request-id", answer.headers.get("x-request-id"));
  } catch {
    complain("No answer came. Is the demo still running?");
  }
});

const [arrival] = performance.getEntriesByType("navigation");
travelled(arrival.responseEnd - arrival.requestStart);
`;
