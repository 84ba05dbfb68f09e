-- Artefacts and the audit log.

CREATE TABLE artefacts (
    id         INTEGER PRIMARY KEY,
    run        TEXT REFERENCES runs (id),
    name       TEXT    NOT NULL,
    media_type TEXT    NOT NULL,
    sha256     TEXT    NOT NULL,
    size_bytes INTEGER NOT NULL,
    tags       TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    content    BLOB    NOT NULL
) STRICT;
CREATE INDEX artefacts_by_run ON artefacts (run, id);
CREATE INDEX artefacts_by_expiry ON artefacts (expires_ms) WHERE expires_ms IS NOT NULL;

CREATE TABLE artefact_tags (
    name     TEXT    NOT NULL,
    value    TEXT    NOT NULL,
    artefact INTEGER NOT NULL REFERENCES artefacts (id) ON DELETE CASCADE,
    PRIMARY KEY (name, value, artefact)
) STRICT, WITHOUT ROWID;
CREATE INDEX artefact_tags_by_artefact ON artefact_tags (artefact);

CREATE TABLE audit (
    seq    INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    at_ms  INTEGER NOT NULL,
    actor  TEXT    NOT NULL,
    role   TEXT    NOT NULL,
    action TEXT    NOT NULL,
    run    TEXT,
    why    TEXT    NOT NULL,
    hash   TEXT    NOT NULL
) STRICT;
-- The last line again: without it, lines removed from the end would leave no trace.
CREATE TABLE audit_head (
    one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    seq  INTEGER NOT NULL,
    hash TEXT    NOT NULL
) STRICT;
INSERT INTO audit_head VALUES (1, 0, '');

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the lines of the audit log are never changed'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the lines of the audit log are never removed'); END;
CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the lines of the audit log are never replaced'); END;
CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head
BEGIN SELECT RAISE(ABORT, 'the lines of the audit log are never removed'); END;
