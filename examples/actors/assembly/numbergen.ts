// A number generator as an actor asks it. Who answers is not known here: a provider, another actor, or the host itself.

import { Reader, Writer } from "./msgpack";
import { Answer, hostCall } from "./wapc";

/** The contract that a provider of one's own, or an actor with this call alias, answers. */
export const NUMBERGEN = "wasmcloud:numbergen";
/** The contract that hosts answer themselves. */
export const BUILTIN_NUMBERGEN = "wasmcloud:builtin:numbergen";

export class Range {
  min: u32 = 0;
  max: u32 = 0;

  static decode(reader: Reader): Range {
    const range = new Range();
    for (let members = reader.map(); members > 0; members--) {
      const name = reader.str();
      if (name == "min") range.min = reader.u32();
      else if (name == "max") range.max = reader.u32();
      else reader.skip();
    }
    return range;
  }
}

/** A u32 from `min` to `max`, both included. */
export function randomInRange(contract: string, min: u32, max: u32): Answer {
  const range = new Writer().map(2).str("min").uint(min).str("max").uint(max);
  return hostCall(contract, "NumberGen.RandomInRange", range.bytes());
}

/** A random u32. */
export function random32(contract: string): Answer {
  return hostCall(contract, "NumberGen.Random32", new Uint8Array(0));
}

/** A random identifier as text. */
export function generateGuid(contract: string): Answer {
  return hostCall(contract, "NumberGen.GenerateGuid", new Uint8Array(0));
}

/** A u32 in decimal digits, or -1 for any other text. */
export function parseU32(text: string): i64 {
  let value: i64 = text.length > 0 ? 0 : -1;
  for (let index = 0; index < text.length && value >= 0; index++) {
    const digit = text.charCodeAt(index) - 0x30;
    value = digit >= 0 && digit <= 9 ? value * 10 + digit : -1;
    if (value > <i64>u32.MAX_VALUE) return -1;
  }
  return value;
}
