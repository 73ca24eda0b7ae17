// The two ways between an actor and its host (waPC): the host calls the actor, the actor calls others through the host.
//
// An actor exports one function and hands on to `answer`:
//
//     export function __guest_call(operationLength: u32, argumentLength: u32): u32 {
//       return answer(operationLength, argumentLength, dispatch);
//     }
//     function dispatch(operation: string, argument: Reader): Answer { ... }

import { Reader } from "./msgpack";

@external("wasmbus", "__guest_request")
declare function guestRequest(operation: usize, argument: usize): void;
@external("wasmbus", "__guest_response")
declare function guestResponse(bytes: usize, length: usize): void;
@external("wasmbus", "__guest_error")
declare function guestError(text: usize, length: usize): void;
@external("wasmbus", "__host_call")
declare function hostCallRaw(
  binding: usize, bindingLength: usize, namespace: usize, namespaceLength: usize,
  operation: usize, operationLength: usize, argument: usize, argumentLength: usize,
): u32;
@external("wasmbus", "__host_response_len")
declare function hostResponseLength(): u32;
@external("wasmbus", "__host_response")
declare function hostResponse(bytes: usize): void;
@external("wasmbus", "__host_error_len")
declare function hostErrorLength(): u32;
@external("wasmbus", "__host_error")
declare function hostError(text: usize): void;
@external("wasmbus", "__console_log")
declare function consoleLog(text: usize, length: usize): void;

const OK: u32 = 1;

/** The outcome of a call, in either direction: a msgpack value, or the text of an error. */
export class Answer {
  constructor(public readonly bytes: Uint8Array, public readonly error: string | null) {}

  static of(bytes: Uint8Array): Answer {
    return new Answer(bytes, null);
  }

  static failed(error: string): Answer {
    return new Answer(new Uint8Array(0), error);
  }

  /** A reader of the value; only for an answer without an error. */
  read(): Reader {
    return new Reader(this.bytes);
  }
}

/** Takes the call that the host announced, has `dispatch` carry it out, and hands the outcome back. */
export function answer(operationLength: u32, argumentLength: u32, dispatch: (operation: string, argument: Reader) => Answer): u32 {
  // The runtime frees memory only when told to, and only here is nothing of the last call in use.
  __collect();
  const operation = new ArrayBuffer(operationLength);
  const argument = new Uint8Array(argumentLength);
  guestRequest(changetype<usize>(operation), argument.dataStart);

  const outcome = dispatch(String.UTF8.decode(operation), new Reader(argument));
  const error = outcome.error;
  if (error !== null) {
    const text = String.UTF8.encode(error);
    guestError(changetype<usize>(text), text.byteLength);
    return 0;
  }
  guestResponse(outcome.bytes.dataStart, outcome.bytes.byteLength);
  return OK;
}

/**
 * Asks whoever stands behind `contract`: the provider that is linked under the link name "default", or, where there is no
 * such link, the actor whose call alias is `contract`.
 */
export function hostCall(contract: string, operation: string, argument: Uint8Array): Answer {
  const binding = String.UTF8.encode("default");
  const namespace = String.UTF8.encode(contract);
  const name = String.UTF8.encode(operation);
  const status = hostCallRaw(
    changetype<usize>(binding), binding.byteLength, changetype<usize>(namespace), namespace.byteLength,
    changetype<usize>(name), name.byteLength, argument.dataStart, argument.byteLength,
  );
  // Hosts report failure as 0 or as 0xFFFFFFFF: only 1 is success.
  if (status != OK) {
    const text = new ArrayBuffer(hostErrorLength());
    hostError(changetype<usize>(text));
    return Answer.failed(String.UTF8.decode(text));
  }
  const bytes = new Uint8Array(hostResponseLength());
  hostResponse(bytes.dataStart);
  return Answer.of(bytes);
}

/** The answer to an operation that the actor does not have. */
export function notHandled(operation: string): Answer {
  return Answer.failed("method not handled " + operation);
}

/** Writes a line to the host's log. */
export function log(line: string): void {
  const text = String.UTF8.encode(line);
  consoleLog(changetype<usize>(text), text.byteLength);
}

/** What `throw` becomes: the message goes to the host, then the actor traps and the host discards this instance. */
export function abort(message: string | null, _file: string | null, _line: u32, _column: u32): void {
  const text = String.UTF8.encode(message !== null ? message : "abort");
  guestError(changetype<usize>(text), text.byteLength);
  unreachable();
}
