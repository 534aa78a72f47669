-- Deleted images whose copies the CDN is to forget: written by whatever hides an image or records
-- that the store has lost it, and taken out when they are in a batch.
CREATE TABLE invalidations (
    image TEXT PRIMARY KEY,
    since BIGINT NOT NULL
);

CREATE FUNCTION tell_cdn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO invalidations (image, since)
    VALUES (NEW.id, COALESCE(NEW.purged_at, NEW.deleted_at))
    ON CONFLICT (image) DO NOTHING;
    RETURN NEW;
END
$$;
CREATE TRIGGER images_hidden_from_cdn AFTER UPDATE OF deleted_at ON images FOR EACH ROW
WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL AND NEW.stored_at IS NOT NULL)
EXECUTE FUNCTION tell_cdn();
CREATE TRIGGER images_purged_from_cdn AFTER UPDATE OF purged_at ON images FOR EACH ROW
WHEN (OLD.purged_at IS NULL AND NEW.purged_at IS NOT NULL) EXECUTE FUNCTION tell_cdn();

-- What the CDN is told at once, until it says that it has heard: the same words at every try.
CREATE TABLE invalidation_batches (
    -- By which the CDN knows one that it was told before.
    reference TEXT PRIMARY KEY,
    -- Paths, as JSON.
    paths     TEXT NOT NULL,
    -- When it is tried next. Who tries it moves this on before: that is the lease.
    due_at    BIGINT NOT NULL,
    attempts  BIGINT NOT NULL
);

-- The server that an event is told to, host and port: one that takes its time is told few at once,
-- whatever its addresses. Null where an earlier version wrote it down; the address counts then.
ALTER TABLE webhook_deliveries ADD COLUMN receiver TEXT;
