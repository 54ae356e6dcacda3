// SPDX-License-Identifier: MIT
// needs: cargo cargo
// build: cargo build -q --locked --release --manifest-path tests/programs/cargo/Cargo.toml --target-dir {out}/../rust_clients
// run: {out}/../rust_clients/release/web http://{url}:{port}/
// server: http
// Rust: reqwest, twenty requests at once.
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

async fn one(client: reqwest::Client, url: String) -> String {
    match client.get(url).send().await {
        Ok(r) => format!("{} {} {:?}", r.status(), r.remote_addr().is_some(), r.text().await.ok()),
        Err(e) => {
            let mut why = format!("timeout {} connect {}", e.is_timeout(), e.is_connect());
            let mut cause = e.source();
            while let Some(c) = cause {
                why += &format!(": {c}");
                cause = c.source();
            }
            why
        }
    }
}

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    let client = reqwest::Client::builder().connect_timeout(Duration::from_secs(1)).no_proxy().build().unwrap();
    let mut said = BTreeMap::new();
    let jobs: Vec<_> = (0..20).map(|_| tokio::spawn(one(client.clone(), url.clone()))).collect();
    for job in jobs {
        *said.entry(job.await.unwrap()).or_insert(0) += 1;
    }
    println!("{said:?}");
}
