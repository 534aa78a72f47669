//! What a fault happens to: origins in processes of their own, a database and a store, and the
//! books of what was accepted.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

use super::process::Process;
use crate::support::bucket::TestBucket;
use crate::support::call::Call;
use crate::support::{LIMIT, database, databases, until};

/// A world of one fault.
pub struct World {
    pub bucket: TestBucket,
    folder: TempDir,
    /// Jobs, and how many pictures were ordered of each.
    accepted: Mutex<Vec<(String, usize)>>,
}

/// How an origin is started, where not as the others.
#[derive(Default)]
pub struct Start {
    /// The store's address, where something stands before it.
    pub store: Option<std::net::SocketAddr>,
    /// The database's address, where something stands before it.
    pub database: Option<String>,
    /// Options of `unshare`, where it is to have something of its own.
    pub mounts: &'static [&'static str],
    /// Whether it is the real one, with the small model.
    pub is_real: bool,
    /// Runs before the origin, in a shell, with the data folder as `$1`.
    pub before: &'static str,
    /// More for its environment.
    pub environment: Vec<(&'static str, String)>,
}

/// What became of what was accepted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Books {
    pub accepted: usize,
    /// Jobs whose pictures are all stored, whole.
    pub pictures: usize,
    /// Jobs that failed, with a cause.
    pub failures: usize,
    /// Jobs that came to no end, or to one without a cause or a picture.
    pub lost: usize,
    /// Jobs that ended more than once, or have more images than were ordered.
    pub twice: usize,
    /// Objects that no image's row names.
    pub orphans: usize,
}

impl World {
    pub async fn new() -> Self {
        Self {
            bucket: TestBucket::start().await,
            folder: tempfile::tempdir().expect("folder"),
            accepted: Mutex::default(),
        }
    }

    /// The folder of the origin `name`.
    pub fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the origin `name` as any.
    pub async fn start(&self, name: &str) -> Process {
        self.start_with(name, Start::default()).await
    }

    /// Starts the origin `name`.
    pub async fn start_with(&self, name: &str, start: Start) -> Process {
        let data = self.data(name);
        std::fs::create_dir_all(&data).expect("a folder");
        let real = Path::new(env!("CARGO_BIN_EXE_darkroom"));
        let (program, command_line) = if start.is_real {
            (real.to_owned(), "serve")
        } else {
            (real.with_file_name("examples").join("stub_origin"), "")
        };
        let mut command = Command::new("sh");
        if !start.mounts.is_empty() {
            command = Command::new("unshare");
            command.args(start.mounts).arg("sh");
        }
        let database = match start.database {
            Some(url) => url,
            None => databases::url(self.folder.path()).await,
        };
        command
            .args([
                "-c",
                &format!("{} exec \"$0\" {command_line}", start.before),
            ])
            .arg(program)
            .arg(&data)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DARKROOM_LISTEN", "127.0.0.1:0")
            .env(
                "DARKROOM_ORIGIN_SECRETS",
                "test:0123456789abcdef0123456789abcdef",
            )
            .env("DARKROOM_DATA_DIR", &data)
            .env("DARKROOM_ADMIN_LISTEN", "off")
            .env(
                "DARKROOM_MODEL",
                Path::new(env!("CARGO_MANIFEST_DIR")).join("demo-model"),
            )
            .env("DATABASE_URL", database)
            .envs(TestBucket::environment(
                start.store.unwrap_or(self.bucket.address()),
            ))
            .envs(start.environment);
        let log = self
            .folder
            .path()
            .join(format!("{name}-{}.log", Uuid::new_v4()));
        Process::start(command, &log).await
    }

    /// Hands in `count` jobs with these fields, each of a seed of its own; their ids.
    pub async fn submit(&self, origin: &Process, count: usize, fields: Value) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..count {
            let id = self.submit_as(origin, Uuid::new_v4(), &fields).await;
            ids.push(id.expect("accepted"));
        }
        ids
    }

    /// Hands in the job `id`; `None` where the origin did not say that it was accepted.
    pub async fn submit_as(&self, origin: &Process, id: Uuid, fields: &Value) -> Option<String> {
        let mut body = json!({ "prompt": "a fox", "seed": id.as_u128() as u32 });
        for (name, value) in fields.as_object().expect("fields") {
            body[name] = value.clone();
        }
        let mut call = Call::generate(&body).header("prefer", "respond-async");
        call.query = format!("job={id}");
        let answer = origin.send(&call).await.ok()?;
        let job = match answer.status().as_u16() {
            200 | 202 => answer.json::<Value>().await.ok()?["job"].clone(),
            _ => return None,
        };
        let id = job["id"].as_str()?.to_owned();
        let ordered = body["n"].as_u64().unwrap_or(1) as usize;
        let mut accepted = self.accepted.lock().expect("books");
        if !accepted.iter().any(|(known, _)| *known == id) {
            accepted.push((id.clone(), ordered));
        }
        Some(id)
    }

    /// A job as an origin tells of it.
    pub async fn job(&self, origin: &Process, id: &str) -> Option<Value> {
        let call = Call::get(&format!("/api/jobs/{id}"));
        let answer = origin.send(&call).await.ok()?.error_for_status().ok()?;
        answer.json().await.ok()
    }

    /// Returns when a job is as `is` says.
    pub async fn until(&self, origin: &Process, id: &str, is: impl Fn(&Value) -> bool) {
        until(async || self.job(origin, id).await.is_some_and(|job| is(&job))).await;
    }

    /// Waits for the end of what was accepted, and counts.
    #[expect(
        clippy::print_stderr,
        reason = "a lost job is told with all that is known of it"
    )]
    pub async fn settle(&self, origin: &Process) -> Books {
        let accepted = self.accepted.lock().expect("books").clone();
        let ended = |job: &Value| {
            ["succeeded", "failed", "canceled"].contains(&job["status"].as_str().unwrap_or(""))
        };
        // Three times the limit: two leases of the dead, and pauses, may have to pass.
        for (id, _) in &accepted {
            let waiting = async {
                while !self.job(origin, id).await.is_some_and(|job| ended(&job)) {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            };
            // Who comes to no end is counted as lost.
            drop(tokio::time::timeout(3 * LIMIT, waiting).await);
        }
        let mut books = Books {
            accepted: accepted.len(),
            ..Books::default()
        };
        for (id, ordered) in &accepted {
            let job = self.job(origin, id).await.unwrap_or_default();
            match job["status"].as_str() {
                Some("succeeded") if self.has_its_pictures(&job, *ordered).await => {
                    books.pictures += 1;
                }
                Some("failed") if job["error"]["code"].is_string() => books.failures += 1,
                _ => {
                    eprintln!("lost: {job}\n{}", origin.log());
                    books.lost += 1;
                }
            }
        }
        books.twice = self.twice(&accepted).await;
        books.orphans = self.orphans().await;
        books
    }

    /// Whether what a job tells of is in the store as it tells, and as many as were ordered.
    async fn has_its_pictures(&self, job: &Value, ordered: usize) -> bool {
        let images = job["images"].as_array().cloned().unwrap_or_default();
        for image in &images {
            let key = image["key"].as_str().unwrap_or("");
            let object = self.bucket.client().get_object();
            let Ok(object) = object.bucket(TestBucket::name()).key(key).send().await else {
                return false;
            };
            let bytes = object.body.collect().await.expect("read").into_bytes();
            if image["sha256"] != hex::encode(Sha256::digest(&bytes)) {
                return false;
            }
        }
        images.len() == ordered
    }

    async fn twice(&self, accepted: &[(String, usize)]) -> usize {
        let mut database = database(self.folder.path()).await;
        let mut twice = 0;
        for (id, ordered) in accepted {
            let (ends, images): (i64, i64) = sqlx::query_as(
                "SELECT (SELECT COUNT(*) FROM job_events WHERE job_id = $1
                         AND name IN ('succeeded', 'failed', 'canceled')),
                        (SELECT COUNT(*) FROM images WHERE job_id = $1)",
            )
            .bind(id)
            .fetch_one(&mut database)
            .await
            .expect("asked");
            twice += usize::from(ends > 1 || images as usize > *ordered);
        }
        twice
    }

    async fn orphans(&self) -> usize {
        let mut database = database(self.folder.path()).await;
        let rows = "SELECT object_key FROM images WHERE stored_at IS NOT NULL";
        let keys: Vec<String> = sqlx::query_scalar(rows)
            .fetch_all(&mut database)
            .await
            .expect("asked");
        let list = self.bucket.client().list_objects_v2();
        let listed = list.bucket(TestBucket::name()).send().await;
        let listed = listed.expect("listed");
        let objects = listed.contents().iter().filter_map(|object| object.key());
        objects
            .filter(|key| !keys.iter().any(|row| row == key))
            .count()
    }

    /// Counts what became of everything, puts it into the table, and fails where anything is
    /// lost, twice or nobody's.
    pub async fn check(&self, fault: &str, origin: &Process) -> Books {
        let books = self.settle(origin).await;
        write_row(fault, Some(&books));
        let Books {
            accepted,
            pictures,
            failures,
            ..
        } = books;
        assert!(accepted > 0, "{fault}: nothing was accepted");
        let expected = Books {
            accepted,
            pictures,
            failures,
            ..Books::default()
        };
        assert_eq!(books, expected, "{fault}");
        assert_eq!(pictures + failures, accepted, "{fault}");
        books
    }
}

/// A row of the table that `scripts/test faults` prints.
pub fn write_row(fault: &str, books: Option<&Books>) {
    let Some(table) = std::env::var_os("DARKROOM_FAULTS_TABLE") else {
        return;
    };
    let on = if crate::support::on_postgres() {
        "PostgreSQL"
    } else {
        "SQLite"
    };
    let row = match books {
        Some(books) => format!(
            "{fault:<44} {on:<10} {:>8} {:>8} {:>8} {:>4} {:>5} {:>7}\n",
            books.accepted, books.pictures, books.failures, books.lost, books.twice, books.orphans
        ),
        None => format!("{fault:<44} {on:<10} not run\n"),
    };
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(table)
        .expect("a table");
    file.write_all(row.as_bytes()).expect("a row");
}
