//! A proxy between an origin and what it talks to, which cuts, delays and corrupts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;

/// What is behind a proxy.
#[derive(Clone, Debug)]
pub enum Behind {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// How often each trouble is still to be made; all of them at once where more than one is set.
#[derive(Debug, Default)]
pub struct Troubles {
    /// Connections that end after so many bytes of what the origin sends.
    pub cuts: AtomicUsize,
    /// Pieces of more than 8 kB in which a byte becomes another.
    pub corruptions: AtomicUsize,
    /// Pieces that wait for 50 ms.
    pub delays: AtomicUsize,
    /// Pieces of what the origin sends whose first byte becomes none of ASCII.
    pub garbled_out: AtomicUsize,
    /// The same of what it is sent.
    pub garbled_in: AtomicUsize,
    /// A connection is carried as long as this is what it was when it began, and even: all others
    /// stay open, and nothing comes through.
    pub era: AtomicUsize,
}

/// A proxy on 127.0.0.1; its end is the end of all its connections.
pub struct Proxy {
    pub address: SocketAddr,
    pub troubles: Arc<Troubles>,
    server: JoinHandle<()>,
}

/// A connection is cut in the middle of whatever is larger.
const CUT_AFTER: usize = 20_000;

impl Proxy {
    pub async fn start(behind: Behind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("socket");
        let address = listener.local_addr().expect("address");
        let troubles = Arc::new(Troubles::default());
        let shared = Arc::clone(&troubles);
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (origin, _) = listener.accept().await.expect("a connection");
                let (troubles, behind) = (Arc::clone(&shared), behind.clone());
                connections.spawn(async move {
                    // Whatever ends a connection ends it for both.
                    match behind {
                        Behind::Tcp(address) => {
                            if let Ok(server) = TcpStream::connect(address).await {
                                carry(origin, server, &troubles).await;
                            }
                        }
                        Behind::Unix(path) => {
                            if let Ok(server) = UnixStream::connect(path).await {
                                carry(origin, server, &troubles).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            troubles,
            server,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn carry(
    origin: TcpStream,
    server: impl AsyncRead + AsyncWrite + Send + 'static,
    troubles: &Troubles,
) {
    let (mut from_origin, mut to_origin) = split(origin);
    let (mut from_server, mut to_server) = split(server);
    let era = troubles.era.load(Ordering::SeqCst);
    let is_dead = || era % 2 == 1 || troubles.era.load(Ordering::SeqCst) != era;
    tokio::select! {
        () = sent(&mut from_origin, &mut to_server, troubles, &is_dead) => {}
        () = answered(&mut from_server, &mut to_origin, troubles, &is_dead) => {}
    }
}

/// Carries what the origin sends, with the troubles that are to be made.
async fn sent(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    troubles: &Troubles,
    is_dead: &impl Fn() -> bool,
) {
    let mut piece = vec![0; 16_384];
    let mut carried = 0;
    loop {
        let Ok(length @ 1..) = from.read(&mut piece).await else {
            return;
        };
        if is_dead() {
            continue;
        }
        if length > 8_192 && one_of(&troubles.corruptions) {
            piece[length - 100] ^= 1;
        }
        if one_of(&troubles.garbled_out) {
            piece[0] ^= 0x80;
        }
        if one_of(&troubles.delays) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        carried += length;
        if carried > CUT_AFTER && one_of(&troubles.cuts) {
            return;
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

/// Carries what the origin is sent.
async fn answered(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    troubles: &Troubles,
    is_dead: &impl Fn() -> bool,
) {
    let mut piece = vec![0; 16_384];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        if is_dead() {
            continue;
        }
        if one_of(&troubles.garbled_in) {
            piece[0] ^= 0x80;
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
    if is_dead() {
        std::future::pending::<()>().await;
    }
}

/// Takes one of `count`, where there is one.
fn one_of(count: &AtomicUsize) -> bool {
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        })
        .is_ok()
}
