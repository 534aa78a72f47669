-- Smaller copies of a picture, as JSON; null until they are made. Who makes them has until then to
-- do it.
ALTER TABLE images ADD COLUMN variants TEXT;
ALTER TABLE images ADD COLUMN variants_after INTEGER NOT NULL DEFAULT 0;

CREATE INDEX images_without_variants ON images (variants_after)
    WHERE stored_at IS NOT NULL AND deleted_at IS NULL AND variants IS NULL;
CREATE INDEX images_to_purge ON images (deleted_at) WHERE purged_at IS NULL AND deleted_at IS NOT NULL;
CREATE INDEX images_by_age ON images (stored_at) WHERE deleted_at IS NULL;

-- What is done now and then, by one of those who share the database: when it is due next.
CREATE TABLE chores (
    name   TEXT PRIMARY KEY,
    due_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO chores (name, due_at) VALUES ('reconcile', 0);
