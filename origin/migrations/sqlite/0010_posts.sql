-- Posts. Moments are Unix milliseconds.
CREATE TABLE posts (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    account      TEXT NOT NULL,
    -- Kept by a deleted post too, so that it can be restored.
    slug         TEXT NOT NULL UNIQUE,
    title        TEXT NOT NULL,
    content      TEXT NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('draft', 'published', 'archived')),
    author_id    TEXT,
    category_id  TEXT,
    image_id     TEXT REFERENCES images (id) ON DELETE SET NULL,
    -- Counts changes: what `ETag` and `If-Match` are made of.
    version      INTEGER NOT NULL DEFAULT 1,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    published_at INTEGER,
    deleted_at   INTEGER
) STRICT;

CREATE INDEX posts_listed ON posts (COALESCE(published_at, created_at), sequence);
CREATE INDEX posts_by_account ON posts (account, COALESCE(published_at, created_at), sequence);
CREATE INDEX posts_by_image ON posts (image_id);

CREATE TABLE post_tags (
    post_id  TEXT NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    tag      TEXT NOT NULL,
    PRIMARY KEY (post_id, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX post_tags_by_tag ON post_tags (tag);

-- The words of posts. Accents count, as they do with PostgreSQL.
CREATE VIRTUAL TABLE posts_text USING fts5 (
    title, content, content = 'posts', content_rowid = 'sequence',
    tokenize = 'unicode61 remove_diacritics 0'
);

CREATE TRIGGER posts_text_insert AFTER INSERT ON posts BEGIN
    INSERT INTO posts_text (rowid, title, content) VALUES (NEW.sequence, NEW.title, NEW.content);
END;
CREATE TRIGGER posts_text_delete AFTER DELETE ON posts BEGIN
    INSERT INTO posts_text (posts_text, rowid, title, content)
    VALUES ('delete', OLD.sequence, OLD.title, OLD.content);
END;
CREATE TRIGGER posts_text_update AFTER UPDATE OF title, content ON posts BEGIN
    INSERT INTO posts_text (posts_text, rowid, title, content)
    VALUES ('delete', OLD.sequence, OLD.title, OLD.content);
    INSERT INTO posts_text (rowid, title, content) VALUES (NEW.sequence, NEW.title, NEW.content);
END;

-- A post shows its image's address only while there is the image: when that comes or goes, the post
-- has changed, whoever did it.
CREATE TRIGGER posts_image_hidden AFTER UPDATE OF deleted_at ON images
WHEN (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL) BEGIN
    UPDATE posts SET version = version + 1, updated_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
    WHERE image_id = NEW.id;
END;
CREATE TRIGGER posts_image_gone BEFORE DELETE ON images BEGIN
    UPDATE posts SET version = version + 1, updated_at = CAST(unixepoch('subsec') * 1000 AS INTEGER)
    WHERE image_id = OLD.id;
END;
