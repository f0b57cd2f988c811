-- Brands take turns in the queue.
ALTER TABLE upload ADD COLUMN turn INTEGER NOT NULL DEFAULT 0; -- in each round of the queue, every brand has one file
ALTER TABLE upload ADD COLUMN wanted_since TEXT;               -- since when this content is to be sent

UPDATE upload SET wanted_since = detected_at WHERE state IN ('queued', 'uploading', 'retrying');

DROP INDEX upload_due;
CREATE INDEX upload_due ON upload (next_attempt_at) WHERE state IN ('queued', 'retrying') AND held = 0;
CREATE INDEX upload_turn ON upload (turn, next_attempt_at) WHERE state IN ('queued', 'retrying') AND held = 0;

-- folders that were mount points when there was something in them
CREATE TABLE mount_point (
    path_bytes BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- the database was made anew: files that are to be held may still be found
ALTER TABLE notice ADD COLUMN open INTEGER NOT NULL DEFAULT 0 CHECK (open IN (0, 1));
UPDATE notice SET open = 1 WHERE name = 'rebuilt';
UPDATE upload SET held = 0 WHERE held = 1 AND state <> 'queued';

-- Refusals in the order in which they came, until they are told to somebody. A copy of a picture that is there is none.
CREATE TABLE refusal (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    upload_id INTEGER NOT NULL,
    state     TEXT    NOT NULL
) STRICT;

CREATE TRIGGER refused_at_once AFTER INSERT ON upload
WHEN new.state IN ('failed', 'rejected') AND new.error_kind <> 'duplicate'
BEGIN INSERT INTO refusal (upload_id, state) VALUES (new.id, new.state); END;

CREATE TRIGGER refused_later AFTER UPDATE OF state, error_kind ON upload
WHEN new.state IN ('failed', 'rejected') AND new.error_kind <> 'duplicate'
     AND (old.state <> new.state OR old.error_kind IS NOT new.error_kind)
BEGIN INSERT INTO refusal (upload_id, state) VALUES (new.id, new.state); END;

-- the ways by which alerts are sent, and how far each has told
CREATE TABLE alert_way (
    way     TEXT PRIMARY KEY,
    told    INTEGER NOT NULL, -- refusals up to this one
    sent_at TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE told_notice (
    way     TEXT NOT NULL REFERENCES alert_way (way) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (way, name)
) STRICT, WITHOUT ROWID;
