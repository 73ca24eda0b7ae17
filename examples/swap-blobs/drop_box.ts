// Drop box: keeps what is put under a name and gives it back. Where it is kept is decided by a link, not here.
// Claims: wasmcloud:httpserver, wasmcloud:blobstore.

import {
  CHUNK, ObjectInfo, Page, RECEIVE_CHUNK,
  chunkBytes, createContainer, getObjectInfo, getRange, listObjects, noMoreChunks, putObject, removalError, removeObject,
} from "../actors/assembly/blobstore";
import { HANDLE_REQUEST, HttpRequest, percentDecode, respond, respondText } from "../actors/assembly/http";
import { Reader } from "../actors/assembly/msgpack";
import { Answer, answer, notHandled } from "../actors/assembly/wapc";

const BOX = "drop-box";
const ANY_TYPE = "application/octet-stream";
// An actor has a memory of its own, and an HTTP answer has to be in it as a whole.
const LARGEST: u64 = 8 << 20;

export function __guest_call(operationLength: u32, argumentLength: u32): u32 {
  return answer(operationLength, argumentLength, dispatch);
}

function dispatch(operation: string, argument: Reader): Answer {
  if (operation == HANDLE_REQUEST) return handle(HttpRequest.decode(argument));
  // This actor asks for as much as it can take; where a link has a smaller max_chunk_size, it asks again instead of waiting.
  if (operation == RECEIVE_CHUNK) return noMoreChunks();
  return notHandled(operation);
}

function handle(request: HttpRequest): Answer {
  const name = percentDecode(request.path.substring(1));
  if (name == "") return request.method == "GET" ? list() : respondText(405, "only GET is for the list\n");
  if (request.method == "PUT") return put(name, request.headerValue("content-type", ANY_TYPE), request.body);
  if (request.method == "GET") return get(name);
  if (request.method == "DELETE") return remove(name);
  return respondText(405, "PUT, GET and DELETE are what a drop box knows\n");
}

function put(name: string, contentType: string, body: Uint8Array): Answer {
  if (<u64>body.length > LARGEST) return respondText(413, `at most ${LARGEST} bytes\n`);
  let done = putObject(BOX, name, contentType, body);
  if (isMissing(done.error)) {
    const made = createContainer(BOX);
    if (made.error !== null) return failure(made);
    done = putObject(BOX, name, contentType, body);
  }
  return done.error !== null ? failure(done) : respondText(201, `${name}: ${body.length} bytes\n`);
}

function get(name: string): Answer {
  const found = getObjectInfo(BOX, name);
  if (isMissing(found.error)) return respondText(404, `nothing is called ${name}\n`);
  if (found.error !== null) return failure(found);
  const info = ObjectInfo.decode(found.read());
  if (info.size > LARGEST) return respondText(507, `${name} has ${info.size} bytes, and this actor can hold ${LARGEST}\n`);
  const body = new Uint8Array(<i32>info.size);
  for (let start = 0; start < body.length; ) {
    const part = getRange(BOX, name, start, <u64>min(start + CHUNK, body.length) - 1);
    if (part.error !== null) return failure(part);
    const bytes = chunkBytes(part.read());
    if (bytes.length == 0) return respondText(502, `${name} became shorter while it was read\n`);
    body.set(bytes, start);
    start += bytes.length;
  }
  return respond(200, info.contentType == "" ? ANY_TYPE : info.contentType, body);
}

function remove(name: string): Answer {
  const done = removeObject(BOX, name);
  if (done.error !== null && !isMissing(done.error)) return failure(done);
  const error = done.error !== null ? "" : removalError(done.read());
  return error == "" ? respondText(200, name + ": removed\n") : respondText(502, error + "\n");
}

function list(): Answer {
  let text = "";
  let continuation = "";
  do {
    const found = listObjects(BOX, continuation);
    if (isMissing(found.error)) break;
    if (found.error !== null) return failure(found);
    const page = Page.decode(found.read());
    for (let index = 0; index < page.objects.length; index++) {
      text += page.objects[index].size.toString().padStart(10) + "  " + page.objects[index].name + "\n";
    }
    continuation = page.continuation;
  } while (continuation != "");
  return respondText(200, text);
}

// An error's text ends in its code.
function isMissing(error: string | null): bool {
  return error !== null && error.endsWith("[not_found]");
}

function failure(failed: Answer): Answer {
  const error = failed.error !== null ? failed.error! : "";
  const status: u16 = isMissing(error) ? 404 : error.endsWith("[invalid_argument]") ? 400 : 502;
  return respondText(status, error + "\n");
}
