// SPDX-License-Identifier: MIT
// needs: cargo cargo
// needs: ngtcp2-server gtlsserver
// build: cargo build -q --locked --release --manifest-path tests/programs/quic/Cargo.toml --target-dir {out}
// run: {out}/release/quic {host} {port}
// server: quic
// Rust: quinn, which sends in segments (UDP_SEGMENT), receives joined ones (UDP_GRO), marks and reads ECN, and probes the path's MTU.
// It asks for files, sends one, moves to another socket in the middle, and goes on. HTTP/3 is as much of it as that takes.
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, TransportConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(&self, _: &CertificateDer, _: &[CertificateDer], _: &ServerName, _: &[u8], _: UnixTime) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(&self, _: &[u8], _: &CertificateDer, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn config() -> Outcome<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(Duration::from_millis(1500).try_into()?));
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

// RFC 9114: a frame is a type, a length and that many bytes; RFC 9000, 16, says how numbers are written.
fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend((body.len() as u32 | 0x8000_0000).to_be_bytes());
    out.extend(body);
    out
}

// RFC 9204: a method of the static table (17 GET, 20 POST), scheme https (23); authority (0) and path (1) as they are.
fn headers(method: u8, path: &str) -> Vec<u8> {
    let mut block = vec![0, 0, 0xc0 | method, 0xc0 | 23, 0x50, 4];
    block.extend(b"peer");
    block.extend([0x51, path.len() as u8]);
    block.extend(path.as_bytes());
    frame(1, &block)
}

fn number(bytes: &[u8], at: &mut usize) -> usize {
    let len = 1 << (bytes[*at] >> 6);
    let mut n = (bytes[*at] & 0x3f) as usize;
    for b in &bytes[*at + 1..*at + len] {
        n = n << 8 | *b as usize;
    }
    *at += len;
    n
}

// The bytes of an answer's DATA frames: how many, and their sum.
fn data(answer: &[u8]) -> (usize, u64) {
    let (mut at, mut len, mut sum) = (0, 0, 0);
    while at < answer.len() {
        let kind = number(answer, &mut at);
        let n = number(answer, &mut at);
        if kind == 0 {
            len += n;
            sum += answer[at..at + n].iter().enumerate().map(|(i, b)| *b as u64 * (i as u64 % 251 + 1)).sum::<u64>();
        }
        at += n;
    }
    (len, sum)
}

async fn ask(conn: Connection, method: u8, path: String, body: Option<Vec<u8>>) -> Outcome<(usize, u64)> {
    let (mut send, mut recv) = conn.open_bi().await?;
    send.write_all(&headers(method, &path)).await?;
    if let Some(body) = body {
        send.write_all(&frame(0, &body)).await?;
    }
    send.finish()?;
    Ok(data(&recv.read_to_end(1 << 24).await?))
}

async fn all(to: SocketAddr) -> Outcome<()> {
    let mut endpoint = Endpoint::client(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse()?)?;
    endpoint.set_default_client_config(config()?);
    let conn = endpoint.connect(to, "peer")?.await?;
    println!("{} {}", conn.remote_address(), conn.stable_id() != 0);
    let mut control = conn.open_uni().await?;
    control.write_all(&[0, 4, 0]).await?;     // a control stream, with no settings
    let jobs: Vec<_> = (1..4).map(|i| tokio::spawn(ask(conn.clone(), 17, format!("/f{i}"), None))).collect();
    for job in jobs {
        println!("{:?}", job.await??);
    }
    let posted = ask(conn.clone(), 20, "/f1".into(), Some(vec![7; 2_000_000])).await?;
    println!("posted {}", posted.0 > 0);
    let moving = tokio::spawn(ask(conn.clone(), 17, "/f3".into(), None));
    endpoint.rebind(UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?)?;
    println!("moved {:?}", moving.await??);
    println!("{:?}", ask(conn.clone(), 17, "/f1".into(), None).await?);
    let sent = conn.stats().udp_tx;
    println!("in segments {}", sent.ios < sent.datagrams);
    conn.close(0u32.into(), b"");
    endpoint.wait_idle().await;
    Ok(())
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let to = (args[1].as_str(), args[2].parse().unwrap()).to_socket_addrs().unwrap().next().unwrap();
    if let Err(e) = all(to).await {
        println!("{e}");
        std::process::exit(1);
    }
}
