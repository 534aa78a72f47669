//! Processes beside this one, and what they take: by Linux's `/proc`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::time::sleep;

/// In which processes are told their CPU time, a second: the same on every Linux of today.
const TICKS: f64 = 100.0;
/// Longer than any of them takes to start.
const START: Duration = Duration::from_mins(1);

/// A server in a process of its own; it is killed (`kill -9`) where it is dropped.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: String,
}

impl Process {
    /// Starts `command`, whose standard error goes to the file `log`; returns when `address` finds
    /// there where it listens.
    pub async fn start(
        mut command: Command,
        log: &Path,
        address: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log)?)
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let mut process = Self {
            child,
            address: String::new(),
        };
        let begun = Instant::now();
        loop {
            let said = fs::read_to_string(log)?;
            if let Some(address) = said.lines().find_map(&address) {
                process.address = address;
                return Ok(process);
            }
            let lives = process.child.try_wait()?.is_none();
            ensure!(lives && begun.elapsed() < START, "not started:\n{said}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// `kill -9`: nothing is told to end in order.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// What it takes.
    pub fn usage(&self) -> Usage {
        Usage(PathBuf::from(format!("/proc/{}", self.child.id())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a process takes.
pub struct Usage(PathBuf);

impl Usage {
    /// This process's.
    pub fn own() -> Self {
        Self("/proc/self".into())
    }

    /// Resident memory, in bytes.
    pub fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(self.0.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kibibytes: u64 = kibibytes.context("no VmRSS")?.trim().parse()?;
        Ok(kibibytes << 10)
    }

    /// CPU time so far, in seconds.
    pub fn cpu(&self) -> Result<f64> {
        Ok(stat(&self.0)?.own)
    }
}

/// CPU time so far of all of a `PostgreSQL` server's processes, those that have ended too, in
/// seconds. `state` is the folder of its data.
pub fn server_cpu(state: &Path) -> Result<f64> {
    let file = fs::read_to_string(state.join("postmaster.pid"))?;
    let postmaster: u32 = file.lines().next().context("a process id")?.parse()?;
    let server = stat(Path::new(&format!("/proc/{postmaster}")))?;
    let mut cpu = server.own + server.ended;
    for entry in fs::read_dir("/proc")? {
        // One that ends meanwhile is not there any more.
        if let Ok(found) = stat(&entry?.path())
            && found.parent == postmaster
        {
            cpu += found.own;
        }
    }
    Ok(cpu)
}

struct Stat {
    parent: u32,
    own: f64,
    /// Of its children that have ended.
    ended: f64,
}

/// Reads `stat` (`proc_pid_stat(5)`).
fn stat(process: &Path) -> Result<Stat> {
    let stat = fs::read_to_string(process.join("stat"))?;
    // The second field is the program's name in brackets, whatever it holds.
    let (_, rest) = stat.rsplit_once(')').context("no name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).context("too few fields");
    let seconds = |number| anyhow::Ok(field(number)?.parse::<f64>()? / TICKS);
    Ok(Stat {
        parent: field(4)?.parse()?,
        own: seconds(14)? + seconds(15)?,
        ended: seconds(16)? + seconds(17)?,
    })
}
