// The page: a number, the visits, and the way that the request for them took.

import { escapeHtml } from "../actors/assembly/html";
import { HttpRequest, respondText } from "../actors/assembly/http";
import { Answer } from "../actors/assembly/wapc";

/** What came of asking a provider: a text, or with a status other than 200 the reason why there is none. */
export class Outcome {
  constructor(public readonly text: string, public readonly status: u16) {}

  static of(text: string): Outcome {
    return new Outcome(text, 200);
  }

  static failed(reason: string, status: u16 = 502): Outcome {
    return new Outcome(reason, status);
  }

  get ok(): bool {
    return this.status == 200;
  }

  /** As an answer of its own. */
  plain(): Answer {
    return respondText(this.status, this.text + "\n");
  }
}

/** The page as HTML; whatever came with the request is escaped here. */
export function renderPage(request: HttpRequest, min: string, max: string, number: Outcome, visits: Outcome): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Hello from a WebAssembly actor</title>
<link rel="icon" href="${ICON}">
<link rel="stylesheet" href="/style.css">
<script src="/app.js" defer></script>
</head>
<body>
<header>
<h1>Hello from a WebAssembly actor</h1>
<p>A program without sockets, clock or randomness of its own wrote this page. One provider handed it your request, another drew the number.</p>
</header>
<main>
<div class="tiles">
${numberTile(min, max, number)}
${visits.ok ? visitTile(visits.text) : noVisitTile(visits.text)}
</div>
${way(request, min, max, number, visits)}
${facts(request)}
</main>
<footer>
<p>More from the same actor:
<a href="/random?min=1&amp;max=6">/random</a> <a href="/guid">/guid</a> <a href="/echo">/echo</a> <a href="/error">/error</a></p>
<p>Its source is <code>examples/hello/hello.ts</code>.</p>
</footer>
</body>
</html>
`;
}

const ICON = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
  + "%3Cpath d='M3 8h10' stroke='%230d7f86' stroke-width='2'/%3E%3Cg fill='%230d7f86'%3E%3Ccircle cx='3' cy='8' r='3'/%3E"
  + "%3Ccircle cx='13' cy='8' r='3'/%3E%3C/g%3E%3C/svg%3E";

function numberTile(min: string, max: string, number: Outcome): string {
  return `<section class="tile number" aria-labelledby="number-title">
<h2 id="number-title">Your number</h2>
<output id="number" for="min max"${number.text.length > 5 ? " class=\"long\"" : ""}>${number.ok ? number.text : "–"}</output>
<form action="/" method="get">
<label>from <input id="min" name="min" type="number" min="0" max="4294967295" required value="${escapeHtml(min)}"></label>
<label>to <input id="max" name="max" type="number" min="0" max="4294967295" required value="${escapeHtml(max)}"></label>
<button>again</button>
</form>
<p id="told" role="status"${number.ok ? "" : " class=\"bad\""}>${number.ok ? "" : escapeHtml(number.text)}</p>
</section>`;
}

function visitTile(count: string): string {
  return `<section class="tile visits" aria-labelledby="visits-title">
<h2 id="visits-title">Visits</h2>
<p class="count" id="visits">${count}</p>
<p>counted by the key-value store that is linked</p>
</section>`;
}

function noVisitTile(reason: string): string {
  return `<section class="tile visits none" aria-labelledby="visits-title">
<h2 id="visits-title">Visits</h2>
<p>Nobody counts them. Link a provider of <code>wasmcloud:keyvalue</code> to this actor and reload: nothing in it has to change.</p>
<details><summary>what the host said</summary>${escapeHtml(reason)}</details>
</section>`;
}

function way(request: HttpRequest, min: string, max: string, number: Outcome, visits: Outcome): string {
  return `<section aria-labelledby="way-title">
<h2 id="way-title">The way your request took</h2>
<ol class="way">
${station("browser", "you", `asks for <code id="asked">${escapeHtml(request.method)} ${escapeHtml(target(request))}</code>`)}
${station("httpserver", "provider", "makes a signed call of it, <code>HandleRequest</code>")}
${station("NATS", "message bus", "carries the call over the lattice")}
${station("host", "runtime", "checks the signature, runs the actor")}
${station("hello", "actor, wasm", "answers, and asks in turn")}
${station("NATS", "message bus", "carries its questions")}
<li class="ends">
${end("numbergen", number.ok ? `draws ${number.text} from ${escapeHtml(min)} to ${escapeHtml(max)}` : "gives no number", "drawn")}
${visits.ok ? end("keyvalue", "counts visit " + visits.text, "counted") : ""}
</li>
</ol>
<p>And the same way back. <span id="took"></span></p>
</section>`;
}

function station(name: string, role: string, does: string): string {
  return `<li><b>${name}</b> <i>${role}</i> <span>${does}</span></li>`;
}

function end(name: string, does: string, id: string): string {
  return `<div><b>${name}</b> <i>provider</i> <span id="${id}">${does}</span></div>`;
}

function facts(request: HttpRequest): string {
  return `<section aria-labelledby="facts-title">
<h2 id="facts-title">What the actor got to see</h2>
<dl>
${fact("method", request.method)}
${fact("path", target(request))}
${header(request, "host")}
${header(request, "user-agent")}
${header(request, "x-request-id")}
</dl>
</section>`;
}

function header(request: HttpRequest, name: string): string {
  const value = request.headerValue(name, "");
  return value.length > 0 ? fact(name, value) : "";
}

function fact(name: string, value: string): string {
  return `<div><dt>${name}</dt><dd id="fact-${name}">${escapeHtml(value)}</dd></div>`;
}

function target(request: HttpRequest): string {
  return request.queryString.length > 0 ? request.path + "?" + request.queryString : request.path;
}
