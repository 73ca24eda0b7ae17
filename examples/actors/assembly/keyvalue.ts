// A key-value store as an actor asks it.

import { Writer } from "./msgpack";
import { Answer, hostCall } from "./wapc";

export const KEYVALUE = "wasmcloud:keyvalue";

/** Adds `value` to the number under `key`, which starts at 0; an i32, the sum. */
export function increment(key: string, value: i32): Answer {
  const argument = new Writer().map(2).str("key").str(key).str("value").int(value);
  return hostCall(KEYVALUE, "KeyValue.Increment", argument.bytes());
}
