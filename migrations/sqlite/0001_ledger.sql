-- The ledger: every brand, every file, every attempt.
--
-- The rules of a file's life are in src/domain/brand. The constraints here are a second guard, which shares nothing
-- with them. Times are RFC 3339 UTC texts of one width, so that they sort by time. ../postgres has the same tables.

-- versions of brandpost that know this migration, or a later one, may work with the database
CREATE TABLE compatibility (
    oldest_migration INTEGER NOT NULL
) STRICT;

INSERT INTO compatibility (oldest_migration) VALUES (1);

-- the watched folders of one daemon, under one name: with SQLite there is one
CREATE TABLE inbox (
    id          INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    host        TEXT    NOT NULL DEFAULT '',
    version     TEXT    NOT NULL DEFAULT '',
    keeper      TEXT,                        -- the daemon that may work on it,
    epoch       INTEGER NOT NULL DEFAULT 0,  -- which counts up when another one takes it over,
    seen_at     TEXT,                        -- which was heard of then,
    lease_until TEXT,                        -- and may work until then (SQLite: as long as it holds the lock file)
    slots_total INTEGER,                     -- images.max_per_brand of its host
    retired_at  TEXT                         -- an operator has ended it
) STRICT;

INSERT INTO inbox (id, name) VALUES (1, 'local');

CREATE TABLE brand (
    id          INTEGER PRIMARY KEY,
    type        TEXT    NOT NULL CHECK (type IN ('OWNBRAND', 'OTHERBRAND')),
    record_id   INTEGER NOT NULL CHECK (record_id > 0),
    slots_total INTEGER NOT NULL CHECK (slots_total BETWEEN 1 AND 1000),
    label       TEXT,  -- what people call it, from the name of its folder
    UNIQUE (type, record_id)
) STRICT;

CREATE TABLE upload (
    id                INTEGER PRIMARY KEY,
    brand_id          INTEGER NOT NULL REFERENCES brand (id),
    inbox_id          INTEGER NOT NULL REFERENCES inbox (id),
    path_bytes        BLOB    NOT NULL,  -- the path itself: a name need not be UTF-8
    path              TEXT    NOT NULL,  -- the path as people read it
    file_name         TEXT    NOT NULL,
    state             TEXT    NOT NULL CHECK
        (state IN ('queued', 'uploading', 'retrying', 'uploaded', 'failed', 'rejected', 'gone')),
    slot              INTEGER CHECK (slot > 0),
    wanted_slot       INTEGER,           -- slots.by = "filename": the one in the name
    -- the file when it was last looked at
    size_bytes        INTEGER NOT NULL CHECK (size_bytes >= 0),
    mtime_ns          INTEGER NOT NULL,
    inode             INTEGER NOT NULL,
    ctime_ns          INTEGER,
    recheck_requested INTEGER NOT NULL DEFAULT 0, -- so often was intake asked to look again,
    recheck_done      INTEGER NOT NULL DEFAULT 0, -- and so many of these requests are done
    -- its content
    suffix            TEXT CHECK (suffix IN ('jpg', 'png', 'gif')),
    width             INTEGER,
    height            INTEGER,
    sha256            TEXT,
    md5               TEXT,
    crc64             TEXT,
    revision          INTEGER NOT NULL DEFAULT 1 CHECK (revision > 0),
    duplicate_of      INTEGER REFERENCES upload (id) DEFERRABLE INITIALLY DEFERRED,
    -- its way to OSS
    attempts          INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0), -- those that count, of this content
    tries             INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0),    -- every one that was ever begun
    next_attempt_at   TEXT,
    turn              INTEGER,           -- it may be sent, in this round of the queue: in each, every brand has one file
    held              INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)), -- not before an operator says so
    wanted_since      TEXT,              -- since when this content is to be sent
    claimed_at        TEXT,              -- an attempt is under way (its number is `tries`): since when,
    claimed_turn      INTEGER,           -- in which round of the queue,
    lease_until       TEXT,              -- and until when at least
    sent              INTEGER NOT NULL DEFAULT 0 CHECK (sent IN (0, 1)), -- something of it may be on OSS, in its slot
    object_sha256     TEXT,              -- what is surely on OSS in its slot
    object_url        TEXT,
    etag              TEXT,
    error_kind        TEXT,
    error_code        TEXT,
    error_message     TEXT,
    request_id        TEXT,
    detected_at       TEXT NOT NULL,
    uploaded_at       TEXT,
    updated_at        TEXT NOT NULL,
    UNIQUE (brand_id, path_bytes, inbox_id),
    CHECK (recheck_requested >= recheck_done),
    -- work needs a slot and known content
    CHECK (state NOT IN ('queued', 'uploading', 'retrying') OR
           (slot IS NOT NULL AND sha256 IS NOT NULL AND md5 IS NOT NULL AND crc64 IS NOT NULL AND suffix IS NOT NULL)),
    CHECK ((state IN ('queued', 'retrying')) = (next_attempt_at IS NOT NULL)),
    CHECK ((state = 'uploading') = (claimed_at IS NOT NULL)),
    CHECK ((state = 'uploading') = (claimed_turn IS NOT NULL)),
    CHECK ((state = 'uploading') = (lease_until IS NOT NULL)),
    CHECK ((state IN ('queued', 'retrying') AND held = 0) = (turn IS NOT NULL)),
    CHECK (held = 0 OR state = 'queued'),
    CHECK (state NOT IN ('retrying', 'failed', 'rejected') OR error_kind IS NOT NULL),
    CHECK (state <> 'uploaded' OR (uploaded_at IS NOT NULL AND error_kind IS NULL))
) STRICT;

-- one row a (brand, slot)
CREATE UNIQUE INDEX upload_slot ON upload (brand_id, slot) WHERE slot IS NOT NULL;
-- the queue: what is due when, in turns, and the newest first (every other file that is sent)
CREATE INDEX upload_due ON upload (inbox_id, next_attempt_at) WHERE turn IS NOT NULL;
CREATE INDEX upload_turn ON upload (inbox_id, turn, next_attempt_at) WHERE turn IS NOT NULL;
CREATE INDEX upload_newest ON upload (inbox_id, turn, ctime_ns DESC, id) WHERE turn IS NOT NULL;
CREATE INDEX upload_held ON upload (brand_id) WHERE held = 1;
CREATE INDEX upload_claimed ON upload (inbox_id, lease_until, claimed_turn) WHERE lease_until IS NOT NULL;
CREATE INDEX upload_recheck ON upload (inbox_id, brand_id) WHERE recheck_requested > recheck_done;
-- an object is one file's: which one has it is asked before anything is sent there
CREATE INDEX upload_object ON upload (object_url) WHERE object_url IS NOT NULL AND slot IS NOT NULL;
-- a row that is removed must be no file's original: without an index every row would be asked
CREATE INDEX upload_copies ON upload (duplicate_of) WHERE duplicate_of IS NOT NULL;
-- lists for people
CREATE INDEX upload_brand_state ON upload (brand_id, state, inbox_id);
CREATE INDEX upload_state ON upload (state, updated_at);
CREATE INDEX upload_updated ON upload (updated_at);

-- slots that were filled by other means and are kept free of ours
CREATE TABLE reserved_slot (
    brand_id INTEGER NOT NULL REFERENCES brand (id),
    slot     INTEGER NOT NULL CHECK (slot > 0),
    PRIMARY KEY (brand_id, slot)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER reserve_only_free_slots BEFORE INSERT ON reserved_slot
WHEN EXISTS (SELECT 1 FROM upload WHERE brand_id = new.brand_id AND slot = new.slot)
BEGIN SELECT RAISE (ABORT, 'the slot belongs to a file'); END;

CREATE TRIGGER insert_spares_reserved_slots BEFORE INSERT ON upload
WHEN new.slot IS NOT NULL AND EXISTS (SELECT 1 FROM reserved_slot WHERE brand_id = new.brand_id AND slot = new.slot)
BEGIN SELECT RAISE (ABORT, 'the slot is reserved'); END;

CREATE TRIGGER update_spares_reserved_slots BEFORE UPDATE OF slot ON upload
WHEN new.slot IS NOT NULL AND EXISTS (SELECT 1 FROM reserved_slot WHERE brand_id = new.brand_id AND slot = new.slot)
BEGIN SELECT RAISE (ABORT, 'the slot is reserved'); END;

-- attempts that have ended; one that is under way is the claim in its file's row
CREATE TABLE attempt (
    id            INTEGER PRIMARY KEY,
    upload_id     INTEGER NOT NULL REFERENCES upload (id) ON DELETE CASCADE,
    attempt       INTEGER NOT NULL CHECK (attempt > 0),
    started_at    TEXT    NOT NULL,
    finished_at   TEXT    NOT NULL,
    outcome       TEXT    NOT NULL CHECK (outcome IN ('uploaded', 'retrying', 'failed', 'interrupted')),
    error_kind    TEXT,
    error_code    TEXT,
    error_message TEXT,
    request_id    TEXT,
    bytes         INTEGER,
    millis        INTEGER,
    UNIQUE (upload_id, attempt)
) STRICT;

CREATE INDEX attempt_age ON attempt (finished_at);

-- why nothing moves, for as long as nothing does
CREATE TABLE notice (
    inbox_id INTEGER NOT NULL REFERENCES inbox (id),
    name     TEXT    NOT NULL,
    message  TEXT    NOT NULL,
    since    TEXT    NOT NULL,
    next_at  TEXT,                                              -- when a pause is over at the earliest
    open     INTEGER NOT NULL DEFAULT 0 CHECK (open IN (0, 1)), -- what it concerns may still be found
    PRIMARY KEY (name, inbox_id)
) STRICT, WITHOUT ROWID;

-- folders that were mount points when there was something in them
CREATE TABLE mount_point (
    inbox_id   INTEGER NOT NULL REFERENCES inbox (id),
    path_bytes BLOB    NOT NULL,
    PRIMARY KEY (inbox_id, path_bytes)
) STRICT, WITHOUT ROWID;

-- files that it takes long to read, and how far they are
CREATE TABLE reading (
    inbox_id   INTEGER NOT NULL REFERENCES inbox (id),
    brand_id   INTEGER NOT NULL REFERENCES brand (id),
    path_bytes BLOB    NOT NULL,
    bytes      INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (inbox_id, brand_id, path_bytes)
) STRICT, WITHOUT ROWID;

-- the outbox of alerts: what happened, in the order in which it did, until every channel has delivered it. A file was
-- refused (failed, rejected), or the last file of a brand that waited was uploaded (complete).
CREATE TABLE alert (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    inbox_id  INTEGER NOT NULL REFERENCES inbox (id),
    upload_id INTEGER,
    brand_id  INTEGER,
    state     TEXT    NOT NULL CHECK (state IN ('failed', 'rejected', 'complete')),
    CHECK ((state = 'complete') = (brand_id IS NOT NULL)),
    CHECK ((state = 'complete') = (upload_id IS NULL))
) STRICT;

CREATE TABLE alert_channel (
    inbox_id        INTEGER NOT NULL REFERENCES inbox (id),
    channel         TEXT    NOT NULL,
    delivered_up_to INTEGER NOT NULL, -- of the outbox
    sent_at         TEXT,
    summary_of      TEXT,             -- the local date of the last daily summary
    PRIMARY KEY (inbox_id, channel)
) STRICT, WITHOUT ROWID;

-- the notices that a channel has told of
CREATE TABLE delivered_notice (
    inbox_id INTEGER NOT NULL,
    channel  TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    message  TEXT    NOT NULL,
    PRIMARY KEY (inbox_id, channel, name),
    FOREIGN KEY (inbox_id, channel) REFERENCES alert_channel (inbox_id, channel) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- The public interface: these views only grow.

CREATE VIEW upload_status AS
SELECT u.id, b.type AS brand_type, b.record_id AS brand_id, u.file_name, u.path, u.state, u.slot, u.suffix,
       u.size_bytes, u.width, u.height, u.sha256, u.revision, u.attempts,
       max(u.next_attempt_at, coalesce(
           (SELECT n.next_at FROM notice n WHERE n.name = 'paused' AND n.inbox_id = u.inbox_id), u.next_attempt_at))
           AS next_attempt_at,
       u.error_kind, u.error_code, u.error_message, u.object_url, u.etag, u.request_id,
       u.detected_at, u.uploaded_at, u.updated_at, i.name AS inbox, b.label AS brand_label, u.held
FROM upload u JOIN brand b ON b.id = u.brand_id JOIN inbox i ON i.id = u.inbox_id;

CREATE VIEW brand_summary AS
SELECT b.type AS brand_type, b.record_id AS brand_id, b.slots_total,
       (SELECT count(*) FROM upload u WHERE u.brand_id = b.id AND u.slot IS NOT NULL) AS slots_used,
       (SELECT count(*) FROM reserved_slot r WHERE r.brand_id = b.id) AS slots_reserved,
       (SELECT count(*) FROM upload u WHERE u.brand_id = b.id AND u.state = 'queued') AS queued,
       (SELECT count(*) FROM upload u WHERE u.brand_id = b.id AND u.state = 'uploading') AS uploading,
       (SELECT count(*) FROM upload u WHERE u.brand_id = b.id AND u.state = 'retrying') AS retrying,
       (SELECT count(*) FROM upload u WHERE u.brand_id = b.id AND u.state = 'uploaded') AS uploaded,
       (SELECT count(*) FROM upload u WHERE u.brand_id = b.id AND u.state = 'failed') AS failed,
       (SELECT count(*) FROM upload u WHERE u.brand_id = b.id AND u.state = 'rejected') AS rejected,
       (SELECT count(*) FROM upload u WHERE u.brand_id = b.id AND u.state = 'gone') AS gone,
       (SELECT max(u.uploaded_at) FROM upload u WHERE u.brand_id = b.id) AS last_uploaded_at,
       b.label
FROM brand b;

CREATE VIEW attempt_log AS
SELECT a.upload_id, a.attempt, a.started_at, a.finished_at, a.outcome, a.error_kind, a.error_code, a.error_message,
       a.request_id, a.bytes, a.millis, i.name AS inbox
FROM attempt a JOIN upload u ON u.id = a.upload_id JOIN inbox i ON i.id = u.inbox_id
UNION ALL
SELECT u.id, u.tries, u.claimed_at, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, i.name
FROM upload u JOIN inbox i ON i.id = u.inbox_id WHERE u.state = 'uploading';

CREATE VIEW inbox_status AS
SELECT i.name AS inbox, i.host, i.version, i.epoch, i.seen_at, i.lease_until, i.retired_at,
       (SELECT count(*) FROM upload u WHERE u.inbox_id = i.id AND u.state = 'queued') AS queued,
       (SELECT count(*) FROM upload u WHERE u.inbox_id = i.id AND u.state = 'uploading') AS uploading,
       (SELECT count(*) FROM upload u WHERE u.inbox_id = i.id AND u.state = 'retrying') AS retrying
FROM inbox i WHERE i.seen_at IS NOT NULL;
