// Hello: a web page that has its random numbers made elsewhere, and its visits counted where somebody counts.
// Claims: wasmcloud:httpserver, wasmcloud:numbergen, wasmcloud:keyvalue.

import { HANDLE_REQUEST, HttpRequest, respond, respondText } from "../actors/assembly/http";
import { increment } from "../actors/assembly/keyvalue";
import { Reader } from "../actors/assembly/msgpack";
import { NUMBERGEN, generateGuid, parseU32, randomInRange } from "../actors/assembly/numbergen";
import { Answer, answer, log, notHandled } from "../actors/assembly/wapc";
import { Outcome, renderPage } from "./page";
import { SCRIPT } from "./script";
import { STYLE } from "./style";

export function __guest_call(operationLength: u32, argumentLength: u32): u32 {
  return answer(operationLength, argumentLength, dispatch);
}

function dispatch(operation: string, argument: Reader): Answer {
  return operation == HANDLE_REQUEST ? handle(HttpRequest.decode(argument)) : notHandled(operation);
}

function handle(request: HttpRequest): Answer {
  log(request.method + " " + request.path);
  if (request.path == "/") return request.accepts("text/html") ? page(request) : respondText(200, GREETING);
  if (request.path == "/style.css") return asset("text/css", STYLE);
  if (request.path == "/app.js") return asset("text/javascript", SCRIPT);
  if (request.path == "/random") return random(request.query("min", "1"), request.query("max", "6")).plain();
  if (request.path == "/guid") return guid().plain();
  if (request.path == "/echo") return echo(request);
  if (request.path == "/error") return Answer.failed("the hello actor was asked to fail");
  return respondText(404, "nothing at " + request.path + ", try /\n");
}

// Nothing but what this actor serves itself, and no script or style within the page: whatever a request smuggles in stays text.
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
  + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

function page(request: HttpRequest): Answer {
  const min = request.query("min", "1");
  const max = request.query("max", "100");
  const number = random(min, max);
  const visits = request.method == "HEAD" ? Outcome.failed("HEAD is no visit") : countVisit();
  const html = renderPage(request, min, max, number, visits);
  return respond(number.status, "text/html; charset=utf-8", utf8(html), [
    ["content-security-policy", POLICY],
    ["x-content-type-options", "nosniff"],
    ["referrer-policy", "no-referrer"],
    ["cache-control", "no-store"],
    ["vary", "accept"],
  ]);
}

function asset(mediaType: string, text: string): Answer {
  return respond(200, mediaType + "; charset=utf-8", utf8(text), [["x-content-type-options", "nosniff"]]);
}

function countVisit(): Outcome {
  const sum = increment("hello:visits", 1);
  const error = sum.error;
  return error !== null ? Outcome.failed(error) : Outcome.of(sum.read().int().toString());
}

function utf8(text: string): Uint8Array {
  return Uint8Array.wrap(String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE));
}

const GREETING = "Hello from a WebAssembly actor.\n\n"
  + "Try:\n"
  + "  /random?min=1&max=6   a number from the number generator\n"
  + "  /guid                 an identifier from the number generator\n"
  + "  /echo                 your request as it arrived here; a body comes back as it is\n"
  + "  /error                an actor that fails\n";

function random(min: string, max: string): Outcome {
  const low = parseU32(min);
  const high = parseU32(max);
  if (low < 0 || high < 0) return Outcome.failed("min and max are whole numbers from 0 to 4294967295", 400);
  const number = randomInRange(NUMBERGEN, <u32>low, <u32>high);
  const error = number.error;
  return error !== null ? failure(error) : Outcome.of(number.read().u32().toString());
}

function guid(): Outcome {
  const identifier = generateGuid(NUMBERGEN);
  const error = identifier.error;
  return error !== null ? failure(error) : Outcome.of(identifier.read().str());
}

// An error's text ends in its code: a wrong argument came from whoever sent the request, anything else from behind us.
function failure(error: string): Outcome {
  return Outcome.failed(error, error.endsWith("[invalid_argument]") ? 400 : 502);
}

function echo(request: HttpRequest): Answer {
  if (request.body.length > 0) {
    return respond(200, request.headerValue("content-type", "application/octet-stream"), request.body);
  }
  let text = request.method + " " + request.path + "\nquery: " + request.queryString + "\n";
  const names = request.header.keys();
  for (let index = 0; index < names.length; index++) {
    text += names[index] + ": " + request.header.get(names[index]).join(", ") + "\n";
  }
  return respondText(200, text);
}
