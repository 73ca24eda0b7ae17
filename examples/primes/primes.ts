// Primes: an actor that implements the numbergen interface and answers only primes. Its own randomness comes from the
// generator that is built into every host. Claims: wasmcloud:builtin:numbergen. Call alias: wasmcloud:numbergen.

import { Reader, Writer } from "../actors/assembly/msgpack";
import { BUILTIN_NUMBERGEN, Range, random32, randomInRange } from "../actors/assembly/numbergen";
import { Answer, answer, notHandled } from "../actors/assembly/wapc";

export function __guest_call(operationLength: u32, argumentLength: u32): u32 {
  return answer(operationLength, argumentLength, dispatch);
}

function dispatch(operation: string, argument: Reader): Answer {
  if (operation == "NumberGen.RandomInRange") return primeInRange(Range.decode(argument));
  if (operation == "NumberGen.Random32") return prime32();
  if (operation == "NumberGen.GenerateGuid") return primeGuid();
  return notHandled(operation);
}

function primeInRange(range: Range): Answer {
  if (range.min > range.max) return Answer.failed(`min ${range.min} is above max ${range.max} [invalid_argument]`);
  const start = randomInRange(BUILTIN_NUMBERGEN, range.min, range.max);
  if (start.error !== null) return start;
  const prime = primeFrom(start.read().u32(), range);
  if (prime == 0) return Answer.failed(`no prime lies between ${range.min} and ${range.max} [invalid_argument]`);
  return Answer.of(new Writer().uint(prime).bytes());
}

function prime32(): Answer {
  const start = random32(BUILTIN_NUMBERGEN);
  if (start.error !== null) return start;
  return Answer.of(new Writer().uint(primeFrom(start.read().u32(), ALL)).bytes());
}

// Four primes of 32 bits, their digits laid out as an identifier's are: 8-4-4-4-12.
function primeGuid(): Answer {
  let digits = "";
  for (let part = 0; part < 4; part++) {
    const prime = prime32();
    if (prime.error !== null) return prime;
    digits += prime.read().u32().toString(16).padStart(8, "0");
  }
  const groups = [digits.substring(0, 8), digits.substring(8, 12), digits.substring(12, 16), digits.substring(16, 20), digits.substring(20)];
  return Answer.of(new Writer().str(groups.join("-")).bytes());
}

const ALL: Range = { min: 0, max: u32.MAX_VALUE };

// The first prime at or after `start`, going on at `min` after `max`; 0 for none. Primes of 32 bits are never more than
// 336 apart, so this ends soon however large the range is.
function primeFrom(start: u32, range: Range): u32 {
  let candidate = start;
  do {
    if (isPrime(candidate)) return candidate;
    candidate = candidate == range.max ? range.min : candidate + 1;
  } while (candidate != start);
  return 0;
}

function isPrime(number: u32): bool {
  if (number < 4) return number >= 2;
  if (number % 2 == 0) return false;
  for (let divisor: u64 = 3; divisor * divisor <= number; divisor += 2) {
    if (number % divisor == 0) return false;
  }
  return true;
}
