//! An S3 server in this process, with a switch that takes it away.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::error_handling::HandleError;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use darkroom_origin::config::{Bucket, Encryption};
use darkroom_origin::storage::{S3, Storage};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::until;

const ACCESS_KEY: &str = "test-access";
const SECRET_KEY: &str = "test-secret";
const BUCKET: &str = "pictures";

/// How the server behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well = 0,
    /// It answers 503 and does nothing.
    Away = 1,
    /// The next upload is done, but its answer is lost.
    LosesAnAnswer = 2,
    /// The next upload is answered 200 and forgotten, as by something that is no store.
    Swallows = 3,
    /// Answers carry neither checksums nor lengths, and what is not there is a bare 404.
    Terse = 4,
    /// The bucket itself is not there; S3's own answer, which the server in this process lacks.
    NoBucket = 5,
    /// It refuses every second part of an upload.
    LosesParts = 6,
    /// An upload in parts is completed, but nobody hears of it.
    LosesACompletion = 7,
    /// Uploads get no further than their headers.
    HoldsUploads = 8,
    /// Uploads are done, and their answers kept back.
    HoldsAnswers = 9,
    /// Each request waits for two seconds first.
    Slow = 10,
    /// It refuses smaller copies of pictures.
    RefusesCopies = 11,
}

/// A request that the server was sent.
#[derive(Clone)]
pub struct Seen {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
}

impl Seen {
    /// A header as text, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str());
        value.unwrap_or(Ok("")).expect("text")
    }

    /// Whether it has such a parameter in its query.
    pub fn asks(&self, name: &str) -> bool {
        let mut parameters = self.uri.query().unwrap_or_default().split('&');
        parameters.any(|parameter| parameter.split('=').next() == Some(name))
    }
}

/// A bucket on 127.0.0.1.
pub struct TestBucket {
    address: SocketAddr,
    folder: TempDir,
    endpoint: String,
    switch: Switch,
    server: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Switch {
    mood: Arc<AtomicU8>,
    uploads: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
    unfinished: Arc<Mutex<String>>,
}

impl Switch {
    /// Returns when the mood is another one.
    async fn no_longer(&self, mood: Mood) {
        while self.mood.load(Ordering::SeqCst) == mood as u8 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl TestBucket {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("bucket");
        let files = FileSystem::new(folder.path()).expect("file system");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let switch = Switch::default();
        let service = HandleError::new(builder.build(), |error: s3s::HttpError| async move {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}"))
        });
        let router = Router::new()
            .fallback_service(service)
            .layer(from_fn_with_state(switch.clone(), moody));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("socket");
        let address = listener.local_addr().expect("address");
        let endpoint = format!("http://{address}");
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("served");
        });
        Self {
            address,
            folder,
            endpoint,
            switch,
            server,
        }
    }

    pub fn set(&self, mood: Mood) {
        self.switch.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// Uploads that were tried.
    pub fn uploads(&self) -> usize {
        self.switch.uploads.load(Ordering::SeqCst)
    }

    /// Uploads that the store has done, whether or not it has said so.
    pub fn done(&self) -> usize {
        self.switch.done.load(Ordering::SeqCst)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when more than `before` uploads were tried.
    pub async fn uploads_after(&self, before: usize) {
        until(async || self.uploads() > before).await;
    }

    /// Every request that it was sent.
    pub fn seen(&self) -> Vec<Seen> {
        self.switch.seen.lock().expect("list").clone()
    }

    /// Names of the files that uploads which are not complete have left.
    pub fn fragments(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).expect("folder");
        let names = files.map(|file| file.expect("file").file_name());
        let names = names.map(|name| name.into_string().expect("text"));
        names.filter(|name| name.contains("upload")).collect()
    }

    /// Puts as many objects in as are asked for, past the door.
    pub fn fill(&self, objects: usize) {
        let folder = self.folder.path().join(BUCKET).join("generated");
        std::fs::create_dir(&folder).expect("folder");
        for number in 0..objects {
            let name = format!("{number}-01234567-89ab-cdef-0123-456789abcdef.png");
            std::fs::write(folder.join(name), b"x").expect("written");
        }
    }

    /// Lists these uploads as unfinished (key, id, when it was begun): the server in this process
    /// has no such list.
    pub fn lists(&self, uploads: &[(&str, &str, &str)]) {
        let uploads = uploads.iter().map(|(key, id, begun)| {
            format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{begun}</Initiated></Upload>")
        });
        *self.switch.unfinished.lock().expect("list") = uploads.collect();
    }

    /// A client of the bucket as the service makes it.
    pub fn storage(&self) -> Storage {
        self.storage_with(|_| {})
    }

    /// The same by other settings.
    pub fn storage_with(&self, change: impl FnOnce(&mut Bucket)) -> Storage {
        let mut bucket = Bucket {
            name: BUCKET.into(),
            region: "us-east-1".into(),
            endpoint: Some(self.endpoint.parse().expect("address")),
            encryption: Encryption::default(),
            retention_days: None,
        };
        change(&mut bucket);
        Storage::S3(S3::with_credentials(bucket, credentials()))
    }

    /// A client of its own, to look at what is stored.
    pub fn client(&self) -> aws_sdk_s3::Client {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .http_client(http)
            .region(aws_sdk_s3::config::Region::from_static("us-east-1"))
            .credentials_provider(credentials())
            .endpoint_url(&self.endpoint)
            .force_path_style(true)
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    pub const fn name() -> &'static str {
        BUCKET
    }

    /// What a process is told of it, which reaches it at `address`.
    pub fn environment(address: SocketAddr) -> [(&'static str, String); 4] {
        [
            ("AWS_S3_BUCKET", BUCKET.to_owned()),
            ("AWS_S3_ENDPOINT", format!("http://{address}")),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ]
    }
}

impl Drop for TestBucket {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn credentials() -> SharedCredentialsProvider {
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
    SharedCredentialsProvider::new(credentials)
}

async fn moody(State(switch): State<Switch>, request: Request, next: Next) -> Response {
    let seen = Seen {
        method: request.method().clone(),
        uri: request.uri().clone(),
        headers: request.headers().clone(),
    };
    let is_upload = seen.method == Method::PUT;
    if is_upload {
        switch.uploads.fetch_add(1, Ordering::SeqCst);
    }
    let is_completion = seen.method == Method::POST && seen.asks("uploadId");
    let is_list = seen.method == Method::GET && seen.asks("uploads");
    let is_of_public = seen
        .uri
        .query()
        .unwrap_or_default()
        .contains("prefix=generated");
    let is_copy = is_upload && seen.uri.path().contains("-w");
    let is_second_part = is_upload && seen.uri.query().unwrap_or_default().contains("Number=2");
    switch.seen.lock().expect("list").push(seen);
    let mood = switch.mood.load(Ordering::SeqCst);
    if mood == Mood::Away as u8 {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let unfinished = switch.unfinished.lock().expect("list").clone();
    if is_list && is_of_public && !unfinished.is_empty() {
        let list = format!("<ListMultipartUploadsResult>{unfinished}</ListMultipartUploadsResult>");
        return list.into_response();
    }
    if is_copy && mood == Mood::RefusesCopies as u8 {
        return StatusCode::FORBIDDEN.into_response();
    }
    if is_second_part && mood == Mood::LosesParts as u8 {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if is_upload && mood == Mood::Swallows as u8 {
        switch.mood.store(Mood::Well as u8, Ordering::SeqCst);
        return StatusCode::OK.into_response();
    }
    if mood == Mood::NoBucket as u8 {
        let body = "<Error><Code>NoSuchBucket</Code><Message>No bucket</Message></Error>";
        return (StatusCode::NOT_FOUND, body).into_response();
    }
    if is_upload {
        switch.no_longer(Mood::HoldsUploads).await;
    }
    if mood == Mood::Slow as u8 {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let is_download = request.method() == Method::GET;
    let mut response = next.run(request).await;
    if is_upload && response.status().is_success() {
        switch.done.fetch_add(1, Ordering::SeqCst);
        switch.no_longer(Mood::HoldsAnswers).await;
    }
    if mood == Mood::Terse as u8 {
        if response.status() == StatusCode::NOT_FOUND {
            return StatusCode::NOT_FOUND.into_response();
        }
        response.headers_mut().remove("x-amz-checksum-sha256");
        if is_download {
            response.headers_mut().remove("content-length");
        }
    }
    if is_completion && mood == Mood::LosesACompletion as u8 {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if is_upload && mood == Mood::LosesAnAnswer as u8 {
        switch.mood.store(Mood::Well as u8, Ordering::SeqCst);
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    response
}
