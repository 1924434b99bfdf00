-- A review for each use of break-glass: the privacy officer's task until it is closed. The ledger's records, which name the
-- review, have the person, the reason and the patients.
CREATE TABLE reviews (
  id TEXT PRIMARY KEY NOT NULL CHECK (length(id) = 32),
  opened_at INTEGER NOT NULL,
  request_id TEXT NOT NULL CHECK (length(request_id) = 32),
  client TEXT NOT NULL,
  origin TEXT NOT NULL,
  purpose TEXT NOT NULL,
  closed_at INTEGER,
  closed_by TEXT,
  finding TEXT CHECK (finding IN ('justified', 'unjustified')),
  CHECK ((closed_at IS NULL) = (closed_by IS NULL) AND (closed_at IS NULL) = (finding IS NULL))
) STRICT;
--> statement-breakpoint
CREATE INDEX reviews_open ON reviews (opened_at) WHERE closed_at IS NULL;
