-- Which of the job's claims was begun: a claim is made while another picture is still at work, and
-- whose holder dies before it begins has cost the job nothing.
ALTER TABLE jobs ADD COLUMN begun_token BIGINT NOT NULL DEFAULT 0;

-- How far the picture that is being made has come, for whoever goes on with it. Goes with the job's
-- end.
CREATE TABLE job_checkpoints (
    job_id   TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    -- The claim that wrote it.
    token    BIGINT NOT NULL,
    -- Which of the job's images it is of.
    image_id TEXT NOT NULL,
    -- Steps done, over all images.
    step     BIGINT NOT NULL,
    -- What its numbers hang on beside the recipe: only who is of the same name may go on.
    numbers  TEXT NOT NULL,
    state    BYTEA NOT NULL,
    -- SHA-256 of the state.
    sha256   BYTEA NOT NULL
);

-- Nothing makes noise smaller.
ALTER TABLE job_checkpoints ALTER COLUMN state SET STORAGE EXTERNAL;
