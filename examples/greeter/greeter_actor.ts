// A web page that has somebody else do the greeting: GET /NAME asks the provider behind acme:greeter.
// Claims: wasmcloud:httpserver, acme:greeter.

import { HANDLE_REQUEST, HttpRequest, percentDecode, respondText } from "../actors/assembly/http";
import { Reader, Writer } from "../actors/assembly/msgpack";
import { Answer, answer, hostCall, notHandled } from "../actors/assembly/wapc";

export function __guest_call(operationLength: u32, argumentLength: u32): u32 {
  return answer(operationLength, argumentLength, dispatch);
}

function dispatch(operation: string, argument: Reader): Answer {
  return operation == HANDLE_REQUEST ? handle(HttpRequest.decode(argument)) : notHandled(operation);
}

function handle(request: HttpRequest): Answer {
  const name = request.path.length > 1 ? percentDecode(request.path.substring(1)) : "world";
  const greeting = hostCall("acme:greeter", "Greeter.Greet", new Writer().str(name).bytes());
  const error = greeting.error;
  if (error !== null) return respondText(502, error + "\n");
  return respondText(200, greeting.read().str() + "\n");
}
