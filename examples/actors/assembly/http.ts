// The contract wasmcloud:httpserver as an actor sees it: one request in, one response out.

import { Reader, Writer } from "./msgpack";
import { Answer } from "./wapc";

/** The operation that the httpserver provider calls. */
export const HANDLE_REQUEST = "HttpServer.HandleRequest";

export class HttpRequest {
  method: string = "";
  /** As it came, percent-encoded, without the query. */
  path: string = "";
  /** As it came, without the question mark. */
  queryString: string = "";
  /** Names in lower case, the values of each in the order of their lines. */
  header: Map<string, string[]> = new Map();
  body: Uint8Array = new Uint8Array(0);

  static decode(reader: Reader): HttpRequest {
    const request = new HttpRequest();
    for (let members = reader.map(); members > 0; members--) {
      const name = reader.str();
      if (name == "method") request.method = reader.str();
      else if (name == "path") request.path = reader.str();
      else if (name == "queryString") request.queryString = reader.str();
      else if (name == "header") decodeHeader(reader, request.header);
      else if (name == "body") request.body = reader.bin();
      else reader.skip();
    }
    return request;
  }

  /** The first value of a query parameter, decoded; `fallback` where it is missing. */
  query(name: string, fallback: string): string {
    const pairs = this.queryString.split("&");
    for (let index = 0; index < pairs.length; index++) {
      const equals = pairs[index].indexOf("=");
      if (equals >= 0 && pairs[index].substring(0, equals) == name) return percentDecode(pairs[index].substring(equals + 1));
    }
    return fallback;
  }

  /** The first value of a header, by its name in lower case; `fallback` where it is missing. */
  headerValue(name: string, fallback: string): string {
    return this.header.has(name) && this.header.get(name).length > 0 ? this.header.get(name)[0] : fallback;
  }

  /** Whether the sender names this media type among those that it takes. */
  accepts(mediaType: string): bool {
    const ranges = this.headerValue("accept", "").toLowerCase().split(",");
    for (let index = 0; index < ranges.length; index++) {
      if (ranges[index].split(";")[0].trim() == mediaType) return true;
    }
    return false;
  }
}

/** A response; `headers` are pairs of name and value beside the content type, each name once. */
export function respond(status: u16, contentType: string, body: Uint8Array, headers: string[][] = []): Answer {
  const writer = new Writer().map(3);
  writer.str("statusCode").uint(status);
  writer.str("header").map(headers.length + 1).str("content-type").array(1).str(contentType);
  for (let index = 0; index < headers.length; index++) writer.str(headers[index][0]).array(1).str(headers[index][1]);
  writer.str("body").bin(body);
  return Answer.of(writer.bytes());
}

export function respondText(status: u16, text: string): Answer {
  return respond(status, "text/plain; charset=utf-8", Uint8Array.wrap(String.UTF8.encode(text)));
}

/** `%C3%A9` as `é`; what is no percent sequence stays as it is. */
export function percentDecode(text: string): string {
  const source = Uint8Array.wrap(String.UTF8.encode(text));
  let length = 0;
  for (let index = 0; index < source.length; index++, length++) {
    const value = source[index] == 0x25 && index + 2 < source.length ? hexByte(source[index + 1], source[index + 2]) : -1;
    source[length] = value >= 0 ? <u8>value : source[index];
    if (value >= 0) index += 2;
  }
  return String.UTF8.decodeUnsafe(source.dataStart, length);
}

function decodeHeader(reader: Reader, header: Map<string, string[]>): void {
  for (let names = reader.map(); names > 0; names--) {
    const name = reader.str();
    const values: string[] = [];
    for (let count = reader.array(); count > 0; count--) values.push(reader.str());
    header.set(name, values);
  }
}

function hexByte(high: u8, low: u8): i32 {
  const first = hexDigit(high);
  const second = hexDigit(low);
  return first < 0 || second < 0 ? -1 : (first << 4) | second;
}

function hexDigit(character: u8): i32 {
  if (character >= 0x30 && character <= 0x39) return character - 0x30;
  const lower = character | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}
