// Asker: asks "a number generator" and does not know which. With a link the provider answers; without one the actor whose
// call alias is the contract's name does (primes.ts). Claims: wasmcloud:httpserver, wasmcloud:numbergen. Call alias: asker.

import { HANDLE_REQUEST, HttpRequest, respondText } from "../actors/assembly/http";
import { Reader } from "../actors/assembly/msgpack";
import { NUMBERGEN, Range, parseU32, randomInRange } from "../actors/assembly/numbergen";
import { Answer, answer, notHandled } from "../actors/assembly/wapc";

export function __guest_call(operationLength: u32, argumentLength: u32): u32 {
  return answer(operationLength, argumentLength, dispatch);
}

function dispatch(operation: string, argument: Reader): Answer {
  if (operation == "Asker.Ask") return ask(Range.decode(argument));
  if (operation == HANDLE_REQUEST) return handle(HttpRequest.decode(argument));
  return notHandled(operation);
}

// The generator's answer is a u32, and so is ours: it is passed on as it came.
function ask(range: Range): Answer {
  return randomInRange(NUMBERGEN, range.min, range.max);
}

function handle(request: HttpRequest): Answer {
  const min = parseU32(request.query("min", "1"));
  const max = parseU32(request.query("max", "100"));
  if (min < 0 || max < 0) return respondText(400, "min and max are whole numbers from 0 to 4294967295\n");
  const number = randomInRange(NUMBERGEN, <u32>min, <u32>max);
  const error = number.error;
  if (error !== null) return respondText(502, error + "\n");
  return respondText(200, number.read().u32().toString() + "\n");
}
