//! A component that turns query strings into calls of linked providers and prints the results.

wit_bindgen::generate!({ path: "wit", world: "probe", generate_all });

use acme::greeter::greeter;
use exports::probe::codec::echo as mine;
use exports::wasi::http::incoming_handler::Guest as Http;
use exports::wasi::keyvalue::watcher;
use probe::codec::{echo, things};
use wasi::blobstore::{blobstore, types as blob};
use wasi::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasi::io::streams::{OutputStream, StreamError};
use wasi::keyvalue::{atomics, batch, store};
use wasmcloud::bus::lattice;
use wasmcloud::numbergen::numbergen;

struct Probe;
export!(Probe);

struct Query(Vec<(String, String)>);

impl Query {
    fn parse(path: &str) -> Self {
        let text = path.split_once('?').map_or("", |(_, q)| q);
        Self(
            text.split('&')
                .filter_map(|p| p.split_once('='))
                .map(|(k, v)| (k.to_string(), unescape(v)))
                .collect(),
        )
    }
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }
    fn text(&self, name: &str, default: &'static str) -> String {
        self.get(name).unwrap_or(default).to_string()
    }
    fn number(&self, name: &str, default: u64) -> u64 {
        self.get(name).and_then(|v| v.parse().ok()).unwrap_or(default)
    }
}

fn unescape(v: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = v.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'%' => {
                let hex = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
                let hex = core::str::from_utf8(&hex).unwrap_or("00");
                out.push(u8::from_str_radix(hex, 16).unwrap_or(b'?'));
            }
            b'+' => out.push(b' '),
            b => out.push(b),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn keyvalue(op: &str, q: &Query) -> Result<String, String> {
    fn e(err: store::Error) -> String {
        format!("{err:?}")
    }
    let bucket = store::open(&q.text("bucket", "default")).map_err(e)?;
    let key = q.text("key", "x");
    let keys: Vec<String> = q.text("keys", "x").split(',').map(String::from).collect();
    let value = match q.get("size") {
        Some(_) => vec![b'v'; q.number("size", 0) as usize],
        None => q.text("value", "v").into_bytes(),
    };
    Ok(match op {
        "get" => match bucket.get(&key).map_err(e)? {
            Some(v) if v.len() > 200 => format!("some {} bytes sum {}", v.len(), sum(&v)),
            Some(v) => format!("some {}", String::from_utf8_lossy(&v)),
            None => "none".into(),
        },
        "set" => format!("{:?}", bucket.set(&key, &value).map_err(e)?),
        "delete" => format!("{:?}", bucket.delete(&key).map_err(e)?),
        "exists" => format!("{:?}", bucket.exists(&key).map_err(e)?),
        "keys" => {
            let cursor = q.get("cursor").and_then(|c| c.parse().ok());
            format!("{:?}", bucket.list_keys(cursor).map_err(e)?)
        }
        "incr" => format!("{}", atomics::increment(&bucket, &key, q.number("delta", 1)).map_err(e)?),
        "getmany" => format!("{:?}", batch::get_many(&bucket, &keys).map_err(e)?),
        "setmany" => {
            let pairs: Vec<_> = keys.into_iter().map(|k| (k, value.clone())).collect();
            format!("{:?}", batch::set_many(&bucket, &pairs).map_err(e)?)
        }
        "delmany" => format!("{:?}", batch::delete_many(&bucket, &keys).map_err(e)?),
        _ => return Err("no such operation".into()),
    })
}

fn sum(data: &[u8]) -> u64 {
    data.iter().map(|b| u64::from(*b)).sum()
}

fn blobs(op: &str, q: &Query) -> Result<String, String> {
    let (name, object) = (q.text("bucket", "box"), q.text("key", "x"));
    let id = |c: &str, o: &str| blobstore::ObjectId { container: q.text(c, "box"), object: q.text(o, "x") };
    match op {
        "bmake" => return blobstore::create_container(&name)?.name(),
        "bexists" => return Ok(format!("{}", blobstore::container_exists(&name)?)),
        "bdrop" => return Ok(format!("{:?}", blobstore::delete_container(&name)?)),
        "bcopy" => return Ok(format!("{:?}", blobstore::copy_object(&id("bucket", "key"), &id("bucket2", "key2"))?)),
        "bmove" => return Ok(format!("{:?}", blobstore::move_object(&id("bucket", "key"), &id("bucket2", "key2"))?)),
        _ => {}
    }
    let container = blobstore::get_container(&name)?;
    Ok(match op {
        "binfo" => format!("{:?}", container.info()?),
        "bhas" => format!("{}", container.has_object(&object)?),
        "bstat" => format!("{:?}", container.object_info(&object)?),
        "bdel" => format!("{:?}", container.delete_object(&object)?),
        "bdels" => {
            let names: Vec<String> = q.text("keys", "x").split(',').map(String::from).collect();
            format!("{:?}", container.delete_objects(&names)?)
        }
        "bclear" => format!("{:?}", container.clear()?),
        "blist" => {
            let names = container.list_objects()?;
            let mut out = Vec::new();
            loop {
                let (mut some, end) = names.read_stream_object_names(q.number("n", 3))?;
                out.append(&mut some);
                if end {
                    break format!("{out:?}");
                }
            }
        }
        "bget" => {
            let value = container.get_data(&object, q.number("start", 0), q.number("end", 1 << 40))?;
            let data = if q.get("async").is_some() {
                let stream = blob::IncomingValue::incoming_value_consume_async(value)?;
                let mut data = Vec::new();
                loop {
                    match stream.blocking_read(1 << 20) {
                        Ok(mut piece) => data.append(&mut piece),
                        Err(StreamError::Closed) => break data,
                        Err(err) => return Err(format!("{err:?}")),
                    }
                }
            } else {
                blob::IncomingValue::incoming_value_consume_sync(value)?
            };
            format!("{} bytes sum {}", data.len(), sum(&data))
        }
        "bput" => {
            let value = blob::OutgoingValue::new_outgoing_value();
            let out = value.outgoing_value_write_body().map_err(|()| "no body")?;
            let data: Vec<u8> = (0..q.number("size", 10)).map(|i| (i % 251) as u8).collect();
            // With a store of version 0.1.0 the host comes back from `write-data` when all is stored: what it has
            // room for is written before. Otherwise it reads the other end only once `write-data` was called.
            let early = q.get("early").is_some();
            let write = |out: OutputStream| -> Result<(), String> {
                for piece in data.chunks(4096) {
                    out.blocking_write_and_flush(piece).map_err(|e| format!("write: {e:?}"))?;
                }
                Ok(())
            };
            if early {
                write(out)?;
                container.write_data(&object, &value)?;
            } else {
                container.write_data(&object, &value)?;
                write(out)?;
            }
            blob::OutgoingValue::finish(value)?;
            format!("{} bytes sum {}", data.len(), sum(&data))
        }
        _ => return Err("no such operation".into()),
    })
}

fn codec(op: &str, q: &Query) -> Result<String, String> {
    Ok(match op {
        "cints" => format!("{:?}", echo::ints(255, -1, 65535, -32768, 300, i32::MIN, u64::MAX, i64::MIN)),
        "cfloats" => format!("{:?}", echo::floats(-2.5, 1.0)),
        "cchars" => format!("{:?}", echo::chars('€', true, "héllo")),
        "crec" => {
            let shape = match q.number("shape", 3) {
                0 => echo::Shape::Nothing,
                1 => echo::Shape::Circle(300),
                2 => echo::Shape::Named("n".into()),
                _ => echo::Shape::Pair((-65, 0.5)),
            };
            let rec = echo::Rec {
                x: 300,
                y: Some("why".into()),
                tags: vec!["a".into(), "bc".into()],
                s: shape,
                f: echo::Few::A | echo::Few::C,
                c: '😀',
                shorts: vec![1, -1, 300],
                nested: Some(None),
                pairs: vec![(7, echo::Color::Blue)],
            };
            format!("{:?}", echo::record_echo(&rec))
        }
        "cten" => format!("{:?}", echo::flags_ten(echo::Ten::F0 | echo::Ten::F9)),
        "ctwenty" => format!("{:?}", echo::flags_twenty(echo::Twenty::T19)),
        "cok" => format!("{:?}", echo::outcome(Ok(300))),
        "cerr" => format!("{:?}", echo::outcome(Err("no"))),
        "cunit" => format!("{:?}", echo::unit()),
        "cunitres" => format!("{:?}", echo::unit_result()),
        "cbytes" => {
            let data = vec![7u8; q.number("size", 10) as usize];
            let back = echo::bytes(&data);
            format!("{} bytes, same {}", back.len(), back == data)
        }
        "rmake" => format!("{}", things::Thing::make(q.number("start", 7))?.add(0)),
        "rnew" => {
            let a = things::Thing::new(q.number("start", 5));
            let b = things::Thing::make(7)?;
            let sum = a.add(3);
            let total = things::total(&a, &b);
            let last = things::swallow(b);
            format!("{sum} {total} {last}")
        }
        _ => return Err("no such operation".into()),
    })
}

fn answer(path: &str, request: &IncomingRequest) -> Result<String, String> {
    let q = Query::parse(path);
    let op = q.text("op", "get");
    if let Some(link) = q.get("link") {
        let (namespace, package, interfaces): (_, _, &[&str]) = match op.as_str() {
            "greet" => ("acme", "greeter", &["greeter"]),
            _ => ("wasi", "keyvalue", &["store", "atomics", "batch"]),
        };
        let targets = interfaces.iter().map(|i| lattice::CallTargetInterface::new(namespace, package, i)).collect();
        lattice::set_link_name(link, targets)?;
    }
    let mut out = String::new();
    for _ in 0..q.number("times", 1) {
        out = match op.as_str() {
            "ping" => "pong".into(),
            "greet" => greeter::greet(&q.text("name", "world")),
            "guid" => numbergen::generate_guid(),
            "range" => numbergen::random_in_range(q.number("min", 0) as u32, q.number("max", 9) as u32)?.to_string(),
            "number" => numbergen::random32().to_string(),
            "echo" => {
                let headers = request.headers();
                let body = request.consume().map_err(|()| "no body")?;
                let stream = body.stream().map_err(|()| "no stream")?;
                let mut data = Vec::new();
                loop {
                    match stream.blocking_read(1 << 16) {
                        Ok(mut piece) => data.append(&mut piece),
                        Err(StreamError::Closed) => break,
                        Err(err) => return Err(format!("{err:?}")),
                    }
                }
                let mut names: Vec<_> = headers
                    .entries()
                    .into_iter()
                    .map(|(k, v)| format!("{k}: {}", String::from_utf8_lossy(&v)))
                    .collect();
                names.sort();
                format!(
                    "{:?} {:?} {path} {} bytes sum {}\n{}",
                    request.method(), request.authority(), data.len(), sum(&data), names.join("\n")
                )
            }
            op if op.starts_with('b') => blobs(op, &q)?,
            op if op.starts_with('c') || op.starts_with('r') => codec(op, &q)?,
            op => keyvalue(op, &q)?,
        };
    }
    Ok(out)
}

impl Http for Probe {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        if path.contains("op=fail") {
            return ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("boom".into()))));
        }
        let (status, text) = match answer(&path, &request) {
            Ok(text) => (200, text),
            Err(text) => (500, format!("error: {text}")),
        };
        let headers = Fields::new();
        let _ = headers.set("content-type", &[b"text/plain".to_vec()]);
        let response = OutgoingResponse::new(headers);
        let _ = response.set_status_code(status);
        let body = response.body().expect("body");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("stream");
        for piece in text.as_bytes().chunks(4096) {
            if stream.blocking_write_and_flush(piece).is_err() {
                break;
            }
        }
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

/// What a watcher tells is written down in a bucket of its own, where a test finds it.
fn note(told: store::Bucket, key: &str, value: &[u8]) {
    // The host gives a bucket that it does not know when it is dropped.
    core::mem::forget(told);
    if let Ok(bucket) = store::open("seen") {
        let _ = bucket.set(key, value);
    }
}

impl watcher::Guest for Probe {
    fn on_set(bucket: store::Bucket, key: String, value: Vec<u8>) {
        note(bucket, &key, &value);
    }
    fn on_delete(bucket: store::Bucket, key: String) {
        note(bucket, &key, b"(deleted)");
    }
}

impl mine::Guest for Probe {
    fn ints(a: u8, b: i8, c: u16, d: i16, e: u32, f: i32, g: u64, h: i64) -> (u8, i8, u16, i16, u32, i32, u64, i64) {
        (a, b, c, d, e, f, g, h)
    }
    fn floats(a: f32, b: f64) -> (f32, f64) {
        (a, b)
    }
    fn chars(a: char, b: bool, c: String) -> (char, bool, String) {
        (a, b, c)
    }
    fn record_echo(r: mine::Rec) -> mine::Rec {
        r
    }
    fn flags_ten(f: mine::Ten) -> mine::Ten {
        f
    }
    fn flags_twenty(f: mine::Twenty) -> mine::Twenty {
        f
    }
    fn outcome(r: Result<u32, String>) -> Result<u32, String> {
        r
    }
    fn unit() {}
    fn unit_result() -> Result<(), ()> {
        Ok(())
    }
    fn bytes(b: Vec<u8>) -> Vec<u8> {
        b
    }
}
