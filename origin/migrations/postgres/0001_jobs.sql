-- The tables of ../sqlite, in its types' widest: 64 bits, text, bytes. So that one set of queries
-- reads both.
CREATE TABLE jobs (
    -- The order of the queue and of lists.
    sequence      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    account       TEXT NOT NULL,
    task_id       TEXT,
    status        TEXT NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    -- The recipe of image 0, as JSON; image i has the seed that far on.
    recipe        TEXT NOT NULL,
    -- Steps done and steps in all, over all images, and pixels a step: what estimates are made of.
    step          BIGINT NOT NULL DEFAULT 0,
    steps         BIGINT NOT NULL,
    pixels        BIGINT NOT NULL,
    -- How many previews of each image a job's events carry.
    previews      BIGINT NOT NULL DEFAULT 0,
    -- How often the engine took it up without coming to its end.
    attempts      BIGINT NOT NULL DEFAULT 0,
    -- Who takes a job up has it on a lease, which a heartbeat renews. Each claim of a job has a number
    -- of its own: whoever comes with an older one has lost the job, whatever it still believes.
    token         BIGINT NOT NULL DEFAULT 0,
    lease_holder  TEXT,
    lease_until   BIGINT,
    -- A job that failed waits until then before it is tried again.
    run_after     BIGINT NOT NULL DEFAULT 0,
    created_at    BIGINT NOT NULL,
    started_at    BIGINT,
    finished_at   BIGINT,
    error_code    TEXT,
    error_message TEXT
);

CREATE INDEX jobs_unfinished ON jobs (sequence) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_by_account ON jobs (account, sequence);

CREATE TABLE images (
    id            TEXT PRIMARY KEY,
    job_id        TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position      BIGINT NOT NULL,
    -- Fixed when the job is accepted, so that work done twice writes one object.
    object_key    TEXT NOT NULL UNIQUE,
    seed          BIGINT NOT NULL,
    recipe_sha256 TEXT NOT NULL,
    visibility    TEXT NOT NULL CHECK (visibility IN ('public', 'private')),
    width         BIGINT NOT NULL,
    height        BIGINT NOT NULL,
    content_type  TEXT NOT NULL,
    -- Null until the store has it.
    stored_at     BIGINT,
    bytes         BIGINT,
    sha256        TEXT,
    -- A deleted image is hidden at once, and purged when the store has forgotten it too.
    deleted_at    BIGINT,
    purged_at     BIGINT,
    UNIQUE (job_id, position),
    CHECK (stored_at IS NULL OR (bytes IS NOT NULL AND sha256 IS NOT NULL))
);

CREATE TABLE job_events (
    job_id  TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    -- From 1 within a job: what `Last-Event-ID` names.
    number  BIGINT NOT NULL,
    name    TEXT NOT NULL,
    -- Steps done at that moment.
    step    BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    -- A small picture as a `data:` URL, on the steps that have one.
    preview TEXT,
    PRIMARY KEY (job_id, number)
);

-- Every event is told to all who listen, when its transaction is through.
CREATE FUNCTION tell_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('darkroom_events', NEW.name || ' ' || NEW.job_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER tell_event AFTER INSERT ON job_events FOR EACH ROW EXECUTE FUNCTION tell_event();

-- Accounts that share a job which another account's request began: each sees it as its own.
CREATE TABLE job_readers (
    job_id  TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    account TEXT NOT NULL,
    -- The reader's own label.
    task_id TEXT,
    PRIMARY KEY (job_id, account)
);

-- What a job begins with other than noise, ready for the engine: pixels of the job's own size. Goes
-- with the job's end.
CREATE TABLE job_starts (
    job_id TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    -- RGB, 8 bits each, row by row.
    image  BYTEA NOT NULL,
    -- A byte a pixel; what is 128 and above is made anew.
    mask   BYTEA
);

-- Nonces of signed requests. Their expiries are Unix seconds, as signatures have them; all other
-- moments are Unix milliseconds.
CREATE TABLE nonces (
    nonce      TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX nonces_by_expiry ON nonces (expires_at);
