// Hello: a web page that has its random numbers made elsewhere. Claims: wasmcloud:httpserver, wasmcloud:numbergen.

import { HANDLE_REQUEST, HttpRequest, respond, respondText } from "../actors/assembly/http";
import { Reader } from "../actors/assembly/msgpack";
import { NUMBERGEN, generateGuid, parseU32, randomInRange } from "../actors/assembly/numbergen";
import { Answer, answer, log, notHandled } from "../actors/assembly/wapc";

export function __guest_call(operationLength: u32, argumentLength: u32): u32 {
  return answer(operationLength, argumentLength, dispatch);
}

function dispatch(operation: string, argument: Reader): Answer {
  return operation == HANDLE_REQUEST ? handle(HttpRequest.decode(argument)) : notHandled(operation);
}

function handle(request: HttpRequest): Answer {
  log(request.method + " " + request.path);
  if (request.path == "/") return respondText(200, GREETING);
  if (request.path == "/random") return random(request.query("min", "1"), request.query("max", "6"));
  if (request.path == "/guid") return guid();
  if (request.path == "/echo") return echo(request);
  if (request.path == "/error") return Answer.failed("the hello actor was asked to fail");
  return respondText(404, "nothing at " + request.path + ", try /\n");
}

const GREETING = "Hello from a WebAssembly actor.\n\n"
  + "Try:\n"
  + "  /random?min=1&max=6   a number from the number generator\n"
  + "  /guid                 an identifier from the number generator\n"
  + "  /echo                 your request as it arrived here; a body comes back as it is\n"
  + "  /error                an actor that fails\n";

function random(min: string, max: string): Answer {
  const low = parseU32(min);
  const high = parseU32(max);
  if (low < 0 || high < 0) return respondText(400, "min and max are whole numbers from 0 to 4294967295\n");
  const number = randomInRange(NUMBERGEN, <u32>low, <u32>high);
  const error = number.error;
  if (error !== null) return failure(error);
  return respondText(200, number.read().u32().toString() + "\n");
}

function guid(): Answer {
  const identifier = generateGuid(NUMBERGEN);
  const error = identifier.error;
  if (error !== null) return failure(error);
  return respondText(200, identifier.read().str() + "\n");
}

// An error's text ends in its code: a wrong argument came from whoever sent the request, anything else from behind us.
function failure(error: string): Answer {
  return respondText(error.endsWith("[invalid_argument]") ? 400 : 502, error + "\n");
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
