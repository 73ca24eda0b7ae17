//! wrpc-codec: for each line `TYPE HEX` on standard input, a line with what the library makes of those bytes:
//! `ok HEX VALUE` (written again, and as Rust shows it), `rest HEX VALUE` where bytes are left over, `incomplete`, or `wrong REASON`.
use std::fmt::Debug;
use std::io::{self, BufRead, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::codec::{Decoder, Encoder};
use wrpc_transport::{Decode, Encode, Index};

mod made {
    wit_bindgen_wrpc::generate!({
        path: "wit",
        world: "values",
    });
}
use made::test::codec::types::{Bare, Everything, Few, Half, Letter, Point, Shape, Ten, Wide};

/// Where streams would go, which none of these values has.
struct Nowhere;

impl Index<Self> for Nowhere {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        anyhow::bail!("no value has a part at {path:?}")
    }
}

impl AsyncRead for Nowhere {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Nowhere {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(data.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn through<T>(data: &[u8]) -> String
where
    T: Decode<Nowhere> + Encode<Nowhere> + Debug,
    <T::Decoder as Decoder>::Error: Debug,
    <T::Encoder as Encoder<T>>::Error: Debug,
{
    let mut data = BytesMut::from(data);
    let value = match T::Decoder::default().decode(&mut data) {
        Ok(Some(value)) => value,
        Ok(None) => return "incomplete".into(),
        Err(error) => return format!("wrong {error:?}").replace('\n', " "),
    };
    let shown = format!("{value:?}").replace('\n', " ");
    let mut out = BytesMut::new();
    T::Encoder::default().encode(value, &mut out).expect("what was read can be written");
    let said = if data.is_empty() { "ok" } else { "rest" };
    format!("{said} {} {shown}", hex(&out))
}

fn read(name: &str, data: &[u8]) -> String {
    match name {
        "bool" => through::<bool>(data),
        "u8" => through::<u8>(data),
        "u16" => through::<u16>(data),
        "u32" => through::<u32>(data),
        "u64" => through::<u64>(data),
        "s8" => through::<i8>(data),
        "s16" => through::<i16>(data),
        "s32" => through::<i32>(data),
        "s64" => through::<i64>(data),
        "f32" => through::<f32>(data),
        "f64" => through::<f64>(data),
        "char" => through::<char>(data),
        "string" => through::<String>(data),
        "bytes" => through::<Bytes>(data),
        "list-u16" => through::<Vec<u16>>(data),
        "list-string" => through::<Vec<String>>(data),
        "list-list-u8" => through::<Vec<Bytes>>(data),
        "tuple" => through::<(u8, String, bool)>(data),
        "option-option-u32" => through::<Option<Option<u32>>>(data),
        "result" => through::<Result<u32, String>>(data),
        "result-no-ok" => through::<Result<(), String>>(data),
        "table" => through::<Vec<(String, u8)>>(data),
        "point" => through::<Point>(data),
        "shape" => through::<Shape>(data),
        "bare" => through::<Bare>(data),
        "letter" => through::<Letter>(data),
        "few" => through::<Few>(data),
        "ten" => through::<Ten>(data),
        "half" => through::<Half>(data),
        "wide" => through::<Wide>(data),
        "everything" => through::<Everything>(data),
        _ => panic!("no type {name}"),
    }
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn main() {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line.expect("lines of text");
        let (name, text) = line.split_once(' ').expect("TYPE HEX");
        let data: Vec<u8> = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("HEX")).collect();
        writeln!(out, "{}", read(name, &data)).and_then(|()| out.flush()).expect("somebody to tell");
    }
}
