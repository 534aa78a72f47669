-- Whom to tell how a job ends: each account that wants to know, at an address of its own.
CREATE TABLE job_webhooks (
    job_id  TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    account TEXT NOT NULL,
    url     TEXT NOT NULL,
    PRIMARY KEY (job_id, account)
);

-- What is to be told, written in the transaction that ends the job.
CREATE TABLE webhook_deliveries (
    -- The order of lists.
    sequence   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What every attempt has as `webhook-id`.
    id         TEXT NOT NULL UNIQUE,
    job_id     TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    account    TEXT NOT NULL,
    url        TEXT NOT NULL,
    -- What the job came to.
    status     TEXT NOT NULL CHECK (status IN ('succeeded', 'failed', 'canceled')),
    state      TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed', 'disabled')),
    created_at BIGINT NOT NULL,
    -- When it is tried next. Who tries it moves this on before: that is the claim's lease, and its
    -- number.
    due_at     BIGINT NOT NULL,
    -- Since it was made, or was last asked to be sent again.
    attempts   BIGINT NOT NULL DEFAULT 0,
    UNIQUE (job_id, account)
);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_account ON webhook_deliveries (account, sequence);

CREATE TABLE webhook_attempts (
    delivery_id TEXT NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    -- From 1 within a delivery.
    number      BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    -- Of the answer, or else why there was none.
    status      BIGINT,
    error       TEXT,
    PRIMARY KEY (delivery_id, number)
);

-- Receivers that answered 410.
CREATE TABLE webhook_disabled (
    account TEXT NOT NULL,
    url     TEXT NOT NULL,
    since   BIGINT NOT NULL,
    PRIMARY KEY (account, url)
);

-- What each account's events are signed with: `whsec_…`. The one before signs as well for a while.
CREATE TABLE webhook_secrets (
    account        TEXT PRIMARY KEY,
    secret         TEXT NOT NULL,
    previous       TEXT,
    previous_until BIGINT
);
