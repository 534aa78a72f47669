//! moto's S3, in a process of its own: written by others than the one in this process.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use darkroom_origin::config::{Bucket, Encryption};
use darkroom_origin::storage::{S3, Storage};
use tokio::net::TcpStream;

use super::until;

/// The bucket that it has.
pub const BUCKET: &str = "pictures";

/// It is ended where it is dropped.
pub struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Moto {
    /// Starts the program that `DARKROOM_TEST_MOTO` names (`scripts/moto-server`).
    pub async fn start() -> Self {
        let program: OsString = std::env::var_os("DARKROOM_TEST_MOTO").expect("scripts/test store");
        // Free a moment ago; nothing else here asks for a port in between.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let moto = Self { child, address };
        until(async || TcpStream::connect(address).await.is_ok()).await;
        let made = moto.client().create_bucket().bucket(BUCKET).send().await;
        made.expect("a bucket");
        moto
    }

    /// A client of the bucket as the service makes it.
    pub fn storage(&self) -> Storage {
        let bucket = Bucket {
            name: BUCKET.into(),
            region: "us-east-1".into(),
            endpoint: Some(self.endpoint().parse().expect("an address")),
            encryption: Encryption::S3,
            retention_days: Some(30),
        };
        Storage::S3(S3::with_credentials(bucket, credentials()))
    }

    /// A client of its own, to look at what is stored.
    pub fn client(&self) -> Client {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(credentials())
            .endpoint_url(self.endpoint())
            .force_path_style(true)
            .build();
        Client::from_conf(config)
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may be dead already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn credentials() -> SharedCredentialsProvider {
    let credentials = Credentials::new("test-access", "test-secret", None, None, "test");
    SharedCredentialsProvider::new(credentials)
}
