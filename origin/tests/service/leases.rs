//! What two workers can do to one job: claims, leases and tokens, right at the database, where the
//! clock is the test's.

use std::time::Duration;

use darkroom_origin::database::{
    Acceptance, Ahead, Checkpoint, CheckpointError, Claim, ClaimedJob, Database, GivenUp, LEASE,
    Lease, MAX_ATTEMPTS, NewImage, NewJob, Place, Reader, Stored, Tried, Waiting,
};
use darkroom_shared::job::{JobError, Status};
use darkroom_shared::priority::Priority;
use darkroom_shared::problem::Code;
use darkroom_shared::recipe::Recipe;
use darkroom_shared::request::{Format, MaskChannel, Visibility};
use futures_util::future::join_all;
use sqlx::Connection as _;
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::databases::{address, database};

const LEASE_MS: i64 = LEASE.as_millis() as i64;

/// A database of its own, opened twice, as by two processes.
pub struct Shared {
    pub a: Database,
    pub b: Database,
    folder: TempDir,
}

impl Shared {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let address = address(folder.path()).await;
        Self {
            a: Database::open(&address).await.expect("opened"),
            b: Database::open(&address).await.expect("opened"),
            folder,
        }
    }

    async fn accept(&self, images: usize) -> NewJob {
        let job = job(images);
        let accepted = self.a.accept(&job, 100).await.expect("accepted");
        assert_eq!(accepted, Acceptance::Accepted);
        job
    }

    async fn status(&self, job: &Lease) -> Option<Status> {
        self.a.status("alice", &job.job).await.expect("read")
    }

    pub async fn close(self) {
        self.a.close().await;
        self.b.close().await;
    }
}

pub fn job(images: usize) -> NewJob {
    NewJob {
        id: Uuid::new_v4(),
        account: "alice".into(),
        task_id: None,
        previous: None,
        recipe: Recipe {
            prompt: "p".into(),
            negative_prompt: None,
            width: 64,
            height: 64,
            steps: 4,
            guidance_scale: 1.0,
            scheduler: "euler".into(),
            seed: 1,
            model: "m".into(),
            revision: "r".into(),
            engine: "e".into(),
            format: Format::Png,
            jpeg_quality: None,
            init_image: None,
            mask: None,
            mask_channel: MaskChannel::default(),
            strength: None,
        },
        visibility: Visibility::Public,
        images: (0..images)
            .map(|_| NewImage {
                id: Uuid::new_v4(),
                key: Uuid::new_v4().to_string(),
                seed: 1,
                recipe_sha256: Uuid::new_v4().to_string(),
            })
            .collect(),
        start: None,
        previews: 0,
        priority: Priority::Normal,
        webhook_url: None,
        deadline: None,
        trace: None,
        now: 0,
    }
}

/// Claims a job and begins it.
pub async fn claim(database: &Database, holder: &str, now: i64) -> Option<ClaimedJob> {
    let job = claim_ahead(database, holder, now).await?;
    assert!(database.begin(&job.lease).await.expect("asked"));
    Some(job)
}

async fn claim_ahead(database: &Database, holder: &str, now: i64) -> Option<ClaimedJob> {
    match database.claim(holder, 0, now).await.expect("asked")? {
        Claim::Job(job) => Some(*job),
        other => panic!("{other:?}"),
    }
}

fn error() -> JobError {
    JobError {
        code: Code::GenerationFailed,
        message: "the engine failed".into(),
    }
}

/// Asserts that nothing is taken from the holder of `old` any more.
async fn is_unheard(database: &Database, old: &Lease, image: &str, now: i64) {
    assert!(!database.holds(old).await.expect("asked"));
    assert!(!database.begin(old).await.expect("asked"));
    assert!(!database.progress(old, 1, None, now).await.expect("asked"));
    let stored = database.image_stored(old, image, 1, "s", now).await;
    assert_eq!(stored.expect("asked"), Stored::Unwanted);
    assert!(!database.fail(old, &error(), now).await.expect("asked"));
    let tried = database.try_again(old, &error(), no_pause, now).await;
    assert_eq!(tried.expect("asked"), Tried::Lost);
    let lost = database.renew(std::slice::from_ref(old), now).await;
    assert_eq!(lost.expect("asked"), std::slice::from_ref(old));
}

fn no_pause(_: u32) -> Duration {
    Duration::ZERO
}

#[tokio::test]
async fn who_lost_a_job_can_do_nothing_more_about_it() {
    let shared = Shared::open().await;
    shared.accept(1).await;
    let first = claim(&shared.a, "a", 1).await.expect("a job");
    let (old, image) = (&first.lease, &first.images[0].id);
    let over = 1 + LEASE_MS + 1;
    let back = shared.b.expire(no_pause, over).await.expect("looked");
    assert_eq!(back, std::slice::from_ref(&old.job));
    let second = claim(&shared.b, "b", over).await.expect("the job");
    assert!(second.lease.token > old.token);

    is_unheard(&shared.a, old, image, over).await;
    assert_eq!(shared.status(old).await, Some(Status::Running));

    let progress = shared.b.progress(&second.lease, 1, None, over).await;
    assert!(progress.expect("recorded"));
    let stored = shared
        .b
        .image_stored(&second.lease, image, 1, "s", over)
        .await;
    assert_eq!(stored.expect("recorded"), Stored::Last);
    assert_eq!(shared.status(old).await, Some(Status::Succeeded));
    shared.close().await;
}

#[tokio::test]
async fn who_has_a_claim_that_a_power_failure_took_back_is_not_taken_for_the_next() {
    let shared = Shared::open().await;
    shared.accept(1).await;
    let first = claim(&shared.a, "a", 1).await.expect("a job");
    let (old, image) = (&first.lease, &first.images[0].id);
    let mut database = database(shared.folder.path()).await;
    let as_before = "
        UPDATE jobs SET status = 'queued', started_at = NULL, attempts = 0, token = 0,
                        begun_token = 0, lease_holder = NULL, lease_until = NULL;
        DELETE FROM job_events WHERE number > 1;";
    sqlx::raw_sql(as_before)
        .execute(&mut database)
        .await
        .expect("forgotten");
    database.close().await.expect("closed");
    let second = claim(&shared.b, "b", 1).await.expect("the job");
    assert_eq!(second.lease.claims(), old.claims());

    is_unheard(&shared.a, old, image, 1).await;
    let checkpoint = Checkpoint {
        image: image.clone(),
        step: 1,
        numbers: "n".into(),
        state: vec![1],
    };
    let kept = shared.a.keep_checkpoint(old, &checkpoint).await;
    assert!(!kept.expect("asked"));
    assert!(shared.b.holds(&second.lease).await.expect("asked"));
    shared.close().await;
}

#[tokio::test]
async fn a_lease_holds_as_long_as_it_is_renewed() {
    let shared = Shared::open().await;
    shared.accept(1).await;
    let lease = claim(&shared.a, "a", 0).await.expect("a job").lease;
    let leases = [lease];
    let mut now = 0;
    for _ in 0..3 {
        now += LEASE_MS;
        assert!(
            shared
                .a
                .renew(&leases, now)
                .await
                .expect("asked")
                .is_empty()
        );
        let back = shared.b.expire(no_pause, now + LEASE_MS).await;
        assert!(back.expect("looked").is_empty());
    }
    assert!(claim(&shared.b, "b", now).await.is_none());

    let [lease] = &leases;
    let given_up = shared.b.give_up(&lease.job, "alice", now).await;
    assert_eq!(given_up.expect("canceled"), GivenUp::ByAll(true));
    assert_eq!(shared.a.renew(&leases, now).await.expect("asked"), leases);
    let back = shared.b.expire(no_pause, now + 2 * LEASE_MS).await;
    assert!(back.expect("looked").is_empty());
    shared.close().await;
}

#[tokio::test]
async fn no_job_is_claimed_twice() {
    let shared = Shared::open().await;
    for _ in 0..6 {
        shared.accept(1).await;
    }
    let claims = (0..12).map(|n| match n % 2 {
        0 => claim(&shared.a, "a", 1),
        _ => claim(&shared.b, "b", 1),
    });
    let claimed = join_all(claims).await.into_iter().flatten();
    let mut jobs: Vec<_> = claimed.map(|job| job.lease.job).collect();
    // Who passes over a row that is being claimed may see none left; the next look finds it.
    while let Some(job) = claim(&shared.a, "a", 1).await {
        jobs.push(job.lease.job);
    }
    assert_eq!(jobs.len(), 6);
    jobs.sort_unstable();
    jobs.dedup();
    assert_eq!(jobs.len(), 6);
    shared.close().await;
}

#[tokio::test]
async fn machines_share_what_is_to_be_done() {
    let shared = Shared::open().await;
    for _ in 0..3 {
        shared.accept(1).await;
    }
    let one = 4 * 64 * 64;
    let ahead = async || {
        let waiting = shared.a.waiting_before(Place::LAST).await.expect("read");
        let at_work = shared.a.at_work().await.expect("read");
        at_work.and(waiting.expect("few"))
    };
    let all = |jobs, pixel_steps| Ahead { jobs, pixel_steps };
    assert_eq!(ahead().await, all(3, 3 * one));
    for holder in ["a", "b"] {
        claim(&shared.a, holder, 1).await.expect("a job");
    }
    assert_eq!(ahead().await, all(3, 3 * one / 2));
    let at_work = shared.a.at_work().await.expect("read");
    assert_eq!(at_work.and(Waiting::default()).pixel_steps, one);
    shared.close().await;
}

#[tokio::test]
async fn a_job_that_fails_is_tried_again_later_and_not_for_ever() {
    let shared = Shared::open().await;
    shared.accept(1).await;
    let pause = |attempts| Duration::from_millis(100 * u64::from(attempts));
    let mut now = 0;
    for attempt in 1..MAX_ATTEMPTS {
        let lease = claim(&shared.a, "a", now).await.expect("a job").lease;
        let tried = shared.a.try_again(&lease, &error(), pause, now).await;
        assert_eq!(tried.expect("recorded"), Tried::Again);
        assert_eq!(shared.status(&lease).await, Some(Status::Queued));
        let due = now + pause(attempt).as_millis() as i64;
        assert!(claim(&shared.b, "b", due - 1).await.is_none());
        now = due;
    }
    let lease = claim(&shared.b, "b", now).await.expect("a job").lease;
    let tried = shared.b.try_again(&lease, &error(), pause, now).await;
    assert_eq!(tried.expect("recorded"), Tried::Failed);
    assert_eq!(shared.status(&lease).await, Some(Status::Failed));
    shared.close().await;
}

#[tokio::test]
async fn a_job_that_takes_its_workers_down_fails_unless_it_only_has_to_be_stored() {
    let shared = Shared::open().await;
    let [hard, made] = [shared.accept(1).await, shared.accept(1).await];
    let mut now = 0;
    for _ in 0..MAX_ATTEMPTS {
        for _ in 0..2 {
            let job = claim(&shared.a, "a", now).await.expect("a job");
            if job.lease.job == made.id.to_string() {
                let progress = shared.a.progress(&job.lease, 4, None, now).await;
                assert!(progress.expect("recorded"));
            }
        }
        now += LEASE_MS + 1;
        assert_eq!(
            shared.b.expire(no_pause, now).await.expect("looked").len(),
            2
        );
    }
    let status = async |job: &NewJob| {
        let status = shared.a.status("alice", &job.id.to_string()).await;
        status.expect("read").expect("a job")
    };
    assert_eq!(status(&hard).await, Status::Failed);
    assert_eq!(status(&made).await, Status::Queued);
    shared.close().await;
}

#[tokio::test]
async fn a_job_that_was_claimed_ahead_pays_for_nothing_that_the_one_before_it_did() {
    let shared = Shared::open().await;
    let [deadly, next] = [shared.accept(1).await, shared.accept(1).await];
    let mut now = 0;
    for _ in 0..MAX_ATTEMPTS {
        let job = claim(&shared.a, "a", now).await.expect("a job");
        assert_eq!(job.lease.job, deadly.id.to_string());
        let ahead = claim_ahead(&shared.a, "a", now).await.expect("a job");
        assert_eq!(ahead.lease.job, next.id.to_string());
        now += 1;
        assert_eq!(shared.a.release("a", now).await.expect("released"), 2);
    }
    for (job, status) in [(&deadly, Status::Failed), (&next, Status::Queued)] {
        let found = shared.a.status("alice", &job.id.to_string()).await;
        assert_eq!(found.expect("read"), Some(status));
    }
    // It has all its tries, given back or not.
    for _ in 0..MAX_ATTEMPTS {
        let ahead = claim_ahead(&shared.a, "a", now).await.expect("a job");
        assert!(shared.a.give_back(&ahead.lease, now).await.expect("asked"));
        assert!(!shared.a.give_back(&ahead.lease, now).await.expect("asked"));
        assert!(!shared.a.begin(&ahead.lease).await.expect("asked"));
    }
    for tried in [Tried::Again, Tried::Again, Tried::Failed] {
        let lease = claim(&shared.a, "a", now).await.expect("a job").lease;
        let result = shared.a.try_again(&lease, &error(), no_pause, now).await;
        assert_eq!(result.expect("recorded"), tried);
    }
    shared.close().await;
}

fn checkpoint(job: &ClaimedJob, step: u32) -> Checkpoint {
    Checkpoint {
        image: job.images[0].id.clone(),
        step,
        numbers: "n".into(),
        state: vec![step as u8; 3],
    }
}

#[tokio::test]
async fn a_run_is_saved_by_whoever_holds_its_job_and_never_backwards() {
    let shared = Shared::open().await;
    shared.accept(1).await;
    let first = claim(&shared.a, "a", 1).await.expect("a job");
    let keep = async |by: &ClaimedJob, step| {
        let state = checkpoint(by, step);
        let kept = shared.a.keep_checkpoint(&by.lease, &state).await;
        kept.expect("asked")
    };
    assert!(first.checkpoint.is_none());
    assert!(keep(&first, 2).await);
    assert!(!keep(&first, 1).await, "an older one that comes late");
    // A service that ends hands its jobs back, and may write the last one after that.
    let progress = shared.a.progress(&first.lease, 3, None, 2).await;
    assert!(progress.expect("recorded"));
    assert_eq!(shared.a.hand_back("a", 2).await.expect("handed back"), 1);
    assert!(keep(&first, 3).await);

    let second = claim(&shared.b, "b", 3).await.expect("the job");
    assert!(!keep(&first, 4).await, "the job is another's");
    let found = second.checkpoint.clone().expect("a checkpoint");
    assert!(found.is_of(&second.images[0].id) && !found.is_of("another"));
    assert_eq!(found.step(), 3);
    assert_eq!(found.state(Some("n")), Ok(&[3; 3][..]));
    assert_eq!(found.state(Some("m")), Err(CheckpointError::Foreign));
    assert_eq!(found.state(None), Err(CheckpointError::Foreign));
    // Who goes on may be saved further back than the first was when it died.
    assert!(keep(&second, 2).await);

    let dropped = shared.a.drop_checkpoint(&first.lease, 4).await;
    assert!(!dropped.expect("asked"));
    let dropped = shared.b.drop_checkpoint(&second.lease, 4).await;
    assert!(dropped.expect("asked"));
    assert!(keep(&second, 1).await);
    let cause = error();
    let tried = shared.b.try_again(&second.lease, &cause, no_pause, 5).await;
    assert_eq!(tried.expect("recorded"), Tried::Again);
    let third = claim(&shared.a, "a", 5).await.expect("the job");
    assert!(third.checkpoint.is_none());
    assert!(keep(&third, 1).await);
    let failed = shared.a.fail(&third.lease, &error(), 6).await;
    assert!(failed.expect("recorded"));
    assert!(!keep(&third, 2).await, "it has ended");
    shared.close().await;
}

#[tokio::test]
async fn a_process_that_starts_takes_back_what_the_one_before_it_held_and_no_more() {
    let shared = Shared::open().await;
    for _ in 0..2 {
        shared.accept(1).await;
    }
    let mine = claim(&shared.a, "a", 1).await.expect("a job").lease;
    let others = claim(&shared.b, "b", 1).await.expect("a job").lease;
    assert_eq!(shared.a.release("a", 2).await.expect("released"), 1);
    assert_eq!(shared.status(&mine).await, Some(Status::Queued));
    assert!(shared.b.holds(&others).await.expect("asked"));
    let again = claim(&shared.a, "a", 2).await.expect("at once");
    assert_eq!(again.lease.job, mine.job);
    shared.close().await;
}

#[tokio::test]
async fn a_picture_that_is_stored_after_its_job_was_handed_back_ends_the_job() {
    let shared = Shared::open().await;
    shared.accept(1).await;
    let job = claim(&shared.a, "a", 1).await.expect("a job");
    assert_eq!(shared.a.hand_back("a", 2).await.expect("handed back"), 1);
    let image = &job.images[0].id;
    let stored = shared.a.image_stored(&job.lease, image, 1, "s", 3).await;
    assert_eq!(stored.expect("recorded"), Stored::Last);
    assert_eq!(shared.status(&job.lease).await, Some(Status::Succeeded));
    assert!(claim(&shared.b, "b", 4).await.is_none());
    shared.close().await;
}

#[tokio::test]
async fn of_pictures_that_are_stored_at_one_moment_one_is_the_last() {
    let shared = Shared::open().await;
    for _ in 0..20 {
        shared.accept(4).await;
        let job = claim(&shared.a, "a", 1).await.expect("a job");
        let all = job.images.iter().enumerate().map(|(n, image)| {
            let database = [&shared.a, &shared.b][n % 2];
            database.image_stored(&job.lease, &image.id, 1, "s", 2)
        });
        let all = join_all(all).await.into_iter();
        let last = all.filter(|stored| matches!(stored, Ok(Stored::Last)));
        assert_eq!(last.count(), 1);
        assert_eq!(shared.status(&job.lease).await, Some(Status::Succeeded));
    }
    shared.close().await;
}

#[tokio::test]
async fn a_job_that_is_handed_in_twice_at_one_moment_is_one() {
    let shared = Shared::open().await;
    for _ in 0..20 {
        let job = job(1);
        let (first, second) = tokio::join!(shared.a.accept(&job, 100), shared.b.accept(&job, 100));
        let mut both = [first.expect("accepted"), second.expect("accepted")];
        both.sort_unstable_by_key(|acceptance| *acceptance != Acceptance::Accepted);
        assert_eq!(both, [Acceptance::Accepted, Acceptance::Known]);
    }
    shared.close().await;
}

#[tokio::test]
async fn nobody_comes_to_share_a_job_that_is_given_up_at_that_moment() {
    let shared = Shared::open().await;
    let reader = Reader {
        account: "bob",
        ..Reader::default()
    };
    for _ in 0..20 {
        let job = shared.accept(1).await.id.to_string();
        let (given_up, added) = tokio::join!(
            shared.a.give_up(&job, "alice", 2),
            shared.b.add_reader(&job, &reader)
        );
        let is_left = given_up.expect("given up") == GivenUp::ByOne;
        assert_eq!(added.expect("asked"), is_left);
        let status = shared.a.status("bob", &job).await.expect("read");
        assert_eq!(status, is_left.then_some(Status::Queued));
    }
    shared.close().await;
}

#[tokio::test]
async fn of_those_who_give_a_job_up_at_one_moment_one_is_the_last() {
    let shared = Shared::open().await;
    for _ in 0..20 {
        let job = shared.accept(1).await.id.to_string();
        for account in ["bob", "carol", "dave"] {
            let reader = Reader {
                account,
                ..Reader::default()
            };
            let added = shared.a.add_reader(&job, &reader).await;
            assert!(added.expect("asked"));
        }
        let all = ["alice", "bob", "carol", "dave"].map(|account| {
            let database = if account < "c" { &shared.a } else { &shared.b };
            database.give_up(&job, account, 2)
        });
        let all = join_all(all).await.into_iter();
        let last = all.filter(|given_up| matches!(given_up, Ok(GivenUp::ByAll(_))));
        assert_eq!(last.count(), 1);
    }
    shared.close().await;
}
