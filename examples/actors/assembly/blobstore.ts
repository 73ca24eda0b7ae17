// A blobstore as an actor asks it: objects in containers. Where they are kept is not known here.

import { Reader, Writer } from "./msgpack";
import { Answer, hostCall } from "./wapc";

export const BLOBSTORE = "wasmcloud:blobstore";
/** The operation by which a provider sends what did not fit into its answer. */
export const RECEIVE_CHUNK = "ChunkReceiver.ReceiveChunk";
/** Bytes of an object that go in one call. */
export const CHUNK: i32 = 1 << 20;

export class ObjectInfo {
  name: string = "";
  size: u64 = 0;
  contentType: string = "";

  static decode(reader: Reader): ObjectInfo {
    const info = new ObjectInfo();
    for (let members = reader.map(); members > 0; members--) {
      const member = reader.str();
      if (member == "objectId") info.name = reader.str();
      else if (member == "contentLength") info.size = <u64>reader.int();
      else if (member == "contentType") info.contentType = optional(reader);
      else reader.skip();
    }
    return info;
  }
}

/** Part of a listing; `continuation` is not empty where there is more. */
export class Page {
  objects: ObjectInfo[] = [];
  continuation: string = "";

  static decode(reader: Reader): Page {
    const page = new Page();
    for (let members = reader.map(); members > 0; members--) {
      const member = reader.str();
      if (member == "objects") {
        for (let count = reader.array(); count > 0; count--) page.objects.push(ObjectInfo.decode(reader));
      } else if (member == "continuation") page.continuation = optional(reader);
      else reader.skip();
    }
    return page;
  }
}

/** Makes a container, if it is not there. */
export function createContainer(container: string): Answer {
  return call("CreateContainer", new Writer().str(container));
}

/** Stores an object, a long one in chunks: it is seen when it is whole. */
export function putObject(container: string, name: string, contentType: string, bytes: Uint8Array): Answer {
  const first = min(bytes.length, CHUNK);
  const begin = new Writer().map(2).str("contentType").str(contentType).str("chunk");
  const begun = call("PutObject", chunk(begin, container, name, bytes, 0, first));
  if (begun.error !== null || first == bytes.length) return begun;
  const stream = streamOf(begun.read());
  for (let start = first; start < bytes.length; start += CHUNK) {
    const put = call("PutChunk", chunk(goOn(stream, false), container, name, bytes, start, min(start + CHUNK, bytes.length)));
    if (put.error === null) continue;
    call("PutChunk", chunk(goOn(stream, true), container, name, bytes, start, start));
    return put;
  }
  return begun;
}

/** What is known of an object: an ObjectInfo. */
export function getObjectInfo(container: string, name: string): Answer {
  return call("GetObjectInfo", new Writer().map(2).str("containerId").str(container).str("objectId").str(name));
}

/** Bytes of an object from `start` to `end`, both included; `chunkBytes` reads the answer. */
export function getRange(container: string, name: string, start: u64, end: u64): Answer {
  const range = new Writer().map(4).str("containerId").str(container).str("objectId").str(name);
  return call("GetObject", range.str("rangeStart").uint(start).str("rangeEnd").uint(end));
}

/** The bytes in the answer to `getRange`: all of the range, or fewer where the provider is set to send shorter chunks. */
export function chunkBytes(reader: Reader): Uint8Array {
  let bytes = new Uint8Array(0);
  for (let members = reader.map(); members > 0; members--) {
    if (reader.str() != "initialChunk") {
      reader.skip();
      continue;
    }
    for (let parts = reader.nil() ? 0 : reader.map(); parts > 0; parts--) {
      if (reader.str() == "bytes") bytes = reader.bin();
      else reader.skip();
    }
  }
  return bytes;
}

/** Removes an object; one that is not there counts as removed. */
export function removeObject(container: string, name: string): Answer {
  return call("RemoveObjects", new Writer().map(2).str("containerId").str(container).str("objects").array(1).str(name));
}

/** Why an object could not be removed, from the answer to `removeObject`; empty where it was. */
export function removalError(reader: Reader): string {
  let text = "";
  for (let count = reader.array(); count > 0; count--) {
    for (let members = reader.map(); members > 0; members--) {
      if (reader.str() == "error") text = optional(reader);
      else reader.skip();
    }
  }
  return text;
}

/** Names behind `continuation`, or from the first on where that is empty: a Page. */
export function listObjects(container: string, continuation: string): Answer {
  const request = new Writer().map(2).str("containerId").str(container).str("continuation");
  return call("ListObjects", continuation == "" ? request.nil() : request.str(continuation));
}

/** What an actor answers that wants no more chunks. */
export function noMoreChunks(): Answer {
  return Answer.of(new Writer().map(1).str("cancelDownload").bool(true).bytes());
}

function call(operation: string, argument: Writer): Answer {
  return hostCall(BLOBSTORE, "Blobstore." + operation, argument.bytes());
}

function goOn(stream: string, cancel: bool): Writer {
  return new Writer().map(3).str("streamId").str(stream).str("cancelAndRemove").bool(cancel).str("chunk");
}

function chunk(writer: Writer, container: string, name: string, bytes: Uint8Array, start: i32, end: i32): Writer {
  writer.map(5).str("containerId").str(container).str("objectId").str(name);
  return writer.str("bytes").bin(bytes.subarray(start, end)).str("offset").uint(start).str("isLast").bool(end == bytes.length);
}

function streamOf(reader: Reader): string {
  let stream = "";
  for (let members = reader.map(); members > 0; members--) {
    if (reader.str() == "streamId") stream = optional(reader);
    else reader.skip();
  }
  return stream;
}

function optional(reader: Reader): string {
  return reader.nil() ? "" : reader.str();
}
