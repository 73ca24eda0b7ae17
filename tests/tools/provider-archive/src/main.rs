//! provider-archive read VERSION FILE [TARGET]: claims, targets and sizes as JSON, of all targets or as a host reads its own.
//! provider-archive write VERSION FILE plain|gzip: as the JSON on standard input says: issuer and subject (seeds), name, vendor, capid, rev, ver,
//! schema, world (a path), programs (target: path).
//!
//! VERSION is `older` (provider-archive 0.8.0, of 0.x hosts) or `newer` (0.16.2, of 1.9 hosts).
use serde_json::{json, Map, Value};
use std::{env, error::Error, fs, io, process::exit};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let done = runtime.block_on(async {
        match words[..] {
            ["read", "older", file] => read_older(older::ProviderArchive::try_load_file(file).await?),
            ["read", "older", file, target] => read_older(older::ProviderArchive::try_load_target_from_file(file, target).await?),
            ["read", "newer", file] => read_newer(newer::ProviderArchive::try_load_file(file).await?),
            ["read", "newer", file, target] => read_newer(newer::ProviderArchive::try_load_target_from_file(file, target).await?),
            ["write", "older", file, form] => write_older(file, form == "gzip", serde_json::from_reader(io::stdin())?).await,
            ["write", "newer", file, form] => write_newer(file, form == "gzip", serde_json::from_reader(io::stdin())?).await,
            _ => Err("read VERSION FILE [TARGET], or write VERSION FILE plain|gzip".into()),
        }
    });
    match done {
        Ok(value) => println!("{value}"),
        Err(error) => {
            eprintln!("{error}");
            exit(1)
        }
    }
}

/// Both versions have these methods, and no trait for them.
macro_rules! found {
    ($archive:expr, $claims:expr, $capid:expr, $wit:expr) => {{
        let claims = $claims;
        let metadata = claims.metadata.clone().ok_or("no metadata")?;
        let targets: Map<String, Value> =
            $archive.targets().into_iter().map(|name| { let size = $archive.target_bytes(&name).map(|bytes| bytes.len()); (name, json!(size)) }).collect();
        Ok(json!({
            "id": claims.id, "issued": claims.issued_at, "issuer": claims.issuer, "subject": claims.subject,
            "name": metadata.name, "vendor": metadata.vendor, "rev": metadata.rev, "ver": metadata.ver,
            "hashes": metadata.target_hashes, "schema": $archive.schema(), "capid": $capid(&metadata), "wit": $wit, "targets": targets,
        }))
    }};
}

fn read_older(archive: older::ProviderArchive) -> Fallible<Value> {
    type Metadata = older_wascap::jwt::CapabilityProvider;
    found!(archive, archive.claims().ok_or("no claims")?, |metadata: &Metadata| json!(metadata.capid), Value::Null)
}

fn read_newer(archive: newer::ProviderArchive) -> Fallible<Value> {
    type Metadata = newer_wascap::jwt::CapabilityProvider;
    let wit = archive.wit_world().map(<[u8]>::len);
    found!(archive, archive.claims().ok_or("no claims")?, |_: &Metadata| Value::Null, json!(wit))
}

fn text(wish: &Value, name: &str) -> String {
    wish[name].as_str().unwrap_or_default().to_owned()
}

fn numbers(wish: &Value) -> (Option<i32>, Option<String>) {
    (wish["rev"].as_i64().map(|rev| rev as i32), wish["ver"].as_str().map(str::to_owned))
}

macro_rules! filled {
    ($archive:expr, $wish:expr) => {
        for (target, path) in $wish["programs"].as_object().ok_or("no programs")? {
            $archive.add_library(target, &fs::read(path.as_str().ok_or("no path")?)?)?;
        }
        if !$wish["schema"].is_null() {
            $archive.set_schema($wish["schema"].clone())?;
        }
    };
}

async fn write_older(file: &str, gzip: bool, wish: Value) -> Fallible<Value> {
    use older_wascap::prelude::KeyPair;
    let (rev, ver) = numbers(&wish);
    let mut archive = older::ProviderArchive::new(&text(&wish, "capid"), &text(&wish, "name"), &text(&wish, "vendor"), rev, ver);
    filled!(archive, wish);
    let (issuer, subject) = (KeyPair::from_seed(&text(&wish, "issuer"))?, KeyPair::from_seed(&text(&wish, "subject"))?);
    archive.write(file, &issuer, &subject, gzip).await?;
    Ok(json!({"file": file}))
}

async fn write_newer(file: &str, gzip: bool, wish: Value) -> Fallible<Value> {
    use newer_wascap::prelude::KeyPair;
    let (rev, ver) = numbers(&wish);
    let mut archive = newer::ProviderArchive::new(&text(&wish, "name"), &text(&wish, "vendor"), rev, ver);
    filled!(archive, wish);
    if let Some(path) = wish["world"].as_str() {
        archive.add_wit_world(&fs::read(path)?)?;
    }
    let (issuer, subject) = (KeyPair::from_seed(&text(&wish, "issuer"))?, KeyPair::from_seed(&text(&wish, "subject"))?);
    archive.write(file, &issuer, &subject, gzip).await?;
    Ok(json!({"file": file}))
}
