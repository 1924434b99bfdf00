-- A case for each request to amend a record (45 CFR 164.526): the privacy officer's task until it is decided. The rows name
-- patients, so the table is PHI. The ledger's records of `request_id` prove the receipt.
CREATE TABLE cases (
  id TEXT PRIMARY KEY NOT NULL CHECK (length(id) = 32),
  received_at INTEGER NOT NULL,
  request_id TEXT NOT NULL CHECK (length(request_id) = 32),
  client TEXT NOT NULL,
  origin TEXT NOT NULL,
  patient TEXT NOT NULL,
  -- `Communication/1`. Null: the origin did not say whether and where it stored the request.
  resource TEXT,
  extended_at INTEGER,
  extended_by TEXT,
  extension_letter TEXT CHECK (length(extension_letter) = 64),
  amended_at INTEGER,
  amended_by TEXT,
  amended_request TEXT CHECK (length(amended_request) = 32),
  decided_at INTEGER,
  decided_by TEXT,
  decision TEXT CHECK (decision IN ('accepted', 'denied', 'partly-denied')),
  reasons TEXT,
  denial_letter TEXT CHECK (length(denial_letter) = 64),
  CHECK ((extended_at IS NULL) = (extended_by IS NULL) AND (extended_at IS NULL) = (extension_letter IS NULL)),
  CHECK ((amended_at IS NULL) = (amended_by IS NULL) AND (amended_at IS NULL) = (amended_request IS NULL)),
  CHECK ((decided_at IS NULL) = (decided_by IS NULL) AND (decided_at IS NULL) = (decision IS NULL)),
  CHECK ((reasons IS NULL) = (denial_letter IS NULL)),
  CHECK ((decision IN ('denied', 'partly-denied')) IS NOT (denial_letter IS NULL))
) STRICT;
--> statement-breakpoint
CREATE INDEX cases_open ON cases (received_at) WHERE decided_at IS NULL;
--> statement-breakpoint
CREATE INDEX cases_by_resource ON cases (origin, resource);
