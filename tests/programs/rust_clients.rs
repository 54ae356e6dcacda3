// SPDX-License-Identifier: MIT
// needs: cargo cargo
// build: cargo build -q --locked --release --manifest-path tests/programs/cargo/Cargo.toml --target-dir {out}
// run: {out}/release/clients {host} {port}
// Rust: std::net with a time-out, and tokio with thirty connections at once on one thread and on several.
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LIMIT: Duration = Duration::from_secs(1);

fn plain(to: &SocketAddr) -> std::io::Result<String> {
    let mut s = std::net::TcpStream::connect_timeout(to, LIMIT)?;
    let mut got = [0; 5];
    s.write_all(b"hello")?;
    s.read_exact(&mut got)?;
    Ok(format!("{} {} {}", String::from_utf8_lossy(&got), s.peer_addr()?, s.local_addr()?.ip()))
}

async fn one(to: SocketAddr) -> String {
    let connecting = tokio::net::TcpStream::connect(to);
    let mut s = match tokio::time::timeout(LIMIT, connecting).await {
        Err(e) => return format!("{e}"),
        Ok(Err(e)) => return format!("{e}"),
        Ok(Ok(s)) => s,
    };
    let data = vec![b'x'; 50000];
    let mut got = vec![0; 50000];
    let (mut r, mut w) = s.split();
    let (sent, read) = tokio::join!(w.write_all(&data), r.read_exact(&mut got));
    let same = sent.is_ok() && read.is_ok() && got == data;
    format!("{same} {:?} {:?}", s.peer_addr(), s.local_addr().map(|a| a.ip()))
}

async fn many(to: SocketAddr) {
    let mut said = BTreeMap::new();
    let jobs: Vec<_> = (0..30).map(|_| tokio::spawn(one(to))).collect();
    for job in jobs {
        *said.entry(job.await.unwrap()).or_insert(0) += 1;
    }
    println!("{said:?}");
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let to = (args[1].as_str(), args[2].parse().unwrap()).to_socket_addrs().unwrap().next().unwrap();
    println!("{:?}", plain(&to));
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(many(to));
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(many(to));
}
