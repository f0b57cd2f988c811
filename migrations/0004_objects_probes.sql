-- an object is one file's: which one has it is asked before anything is sent there
CREATE INDEX upload_object ON upload (object_url) WHERE object_url IS NOT NULL AND slot IS NOT NULL;

-- a file in another slot has another object
CREATE TRIGGER another_slot_another_object AFTER UPDATE OF slot ON upload
WHEN new.slot IS NOT NULL AND old.slot IS NOT new.slot AND new.object_url IS NOT NULL
BEGIN UPDATE upload SET object_url = NULL, etag = NULL WHERE id = new.id; END;

-- when a pause is over at the earliest: no file is tried before that
ALTER TABLE notice ADD COLUMN next_at TEXT;

DROP VIEW upload_status;
CREATE VIEW upload_status AS
SELECT u.id, b.type AS brand_type, b.record_id AS brand_id, u.file_name, u.path, u.state, u.slot, u.suffix,
       u.size_bytes, u.width, u.height, u.sha256, u.revision, u.attempts,
       max(u.next_attempt_at, coalesce((SELECT next_at FROM notice WHERE name = 'paused'), u.next_attempt_at))
           AS next_attempt_at,
       u.error_kind, u.error_code, u.error_message, u.object_url, u.etag, u.request_id,
       u.detected_at, u.uploaded_at, u.updated_at
FROM upload u JOIN brand b ON b.id = u.brand_id;
