//! Jobs: how they end, how long they wait, how long each stage takes.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use darkroom_shared::job::Status;
use darkroom_shared::problem::Code;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// A part of the way from a claim to a stored picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// From the prompt to the last step.
    Steps,
    /// From the last step to pixels.
    Decode,
    /// From pixels to a file.
    Encode,
    /// From memory to the spool.
    Spool,
    /// From the spool to the store, all tries and the pauses between them.
    Upload,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Decode => "decode",
            Self::Encode => "encode",
            Self::Spool => "spool",
            Self::Upload => "upload",
        }
    }
}

type OneLabel = [(&'static str, &'static str); 1];

/// What is counted and measured of jobs.
#[derive(Clone, Debug)]
pub struct JobMetrics {
    ended: Family<[(&'static str, &'static str); 2], Counter>,
    retries: Counter,
    wait: Histogram,
    step: Histogram,
    stage: Family<OneLabel, Histogram, fn() -> Histogram>,
    engine_busy: Counter<f64, AtomicU64>,
    checkpoints: Family<OneLabel, Counter>,
}

impl JobMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        // 10 ms to 23 hours: a queue may be long.
        let wait = Histogram::new(exponential_buckets(0.01, 4.0, 12));
        // 5 ms to 82 s.
        let step = Histogram::new(exponential_buckets(0.005, 2.0, 15));
        let metrics = Self {
            ended: Family::default(),
            retries: Counter::default(),
            wait,
            step,
            engine_busy: Counter::default(),
            checkpoints: Family::default(),
            // 1 ms to 70 minutes: from spooling a file to a long run on a CPU.
            stage: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 4.0, 12))
            }),
        };
        let ended = "Jobs that this machine saw end, by status and by cause";
        registry.register("jobs_ended", ended, metrics.ended.clone());
        let retries = "Tries to make a job that failed and are to be made again";
        registry.register("job_retries", retries, metrics.retries.clone());
        let mut seconds = |name, help, metric: Histogram| {
            registry.register_with_unit(name, help, Unit::Seconds, metric);
        };
        let wait = "From a job's acceptance to its first claim";
        seconds("job_wait", wait, metrics.wait.clone());
        seconds("step", "A denoising step", metrics.step.clone());
        let stage = "A stage of a picture";
        registry.register_with_unit("stage", stage, Unit::Seconds, metrics.stage.clone());
        let busy = "Time that the engine's thread computed; its rate is the share of it";
        let busy_clone = metrics.engine_busy.clone();
        registry.register_with_unit("engine_busy", busy, Unit::Seconds, busy_clone);
        let checkpoints = "Runs that were saved on their way, gone on with, or of no use";
        registry.register("checkpoints", checkpoints, metrics.checkpoints.clone());
        metrics
    }

    /// A job has ended; `code` says why it failed.
    pub fn ended(&self, status: Status, code: Option<Code>) {
        let code = code.map_or("", Code::as_str);
        let labels = [("status", status.as_str()), ("code", code)];
        self.ended.get_or_create(&labels).inc();
    }

    /// A try has failed, and another is to follow.
    pub fn retried(&self) {
        self.retries.inc();
    }

    /// A job's first claim came so long after its acceptance.
    pub fn waited(&self, time: Duration) {
        self.wait.observe(time.as_secs_f64());
    }

    /// A step took so long.
    pub fn stepped(&self, time: Duration) {
        self.step.observe(time.as_secs_f64());
    }

    /// The engine's thread computed for so long, and did nothing else.
    pub fn engine_worked(&self, time: Duration) {
        self.engine_busy.inc_by(time.as_secs_f64());
    }

    /// What came of a run's state: `saved`, `resumed` or `refused`.
    pub fn checkpoint(&self, result: &'static str) {
        self.checkpoints.get_or_create(&[("result", result)]).inc();
    }

    /// A stage took so long.
    pub fn staged(&self, stage: Stage, time: Duration) {
        let labels = [("stage", stage.as_str())];
        self.stage
            .get_or_create(&labels)
            .observe(time.as_secs_f64());
    }
}
