-- Acts that need a second person. A proposal never changes after it was made: it is open until it is approved or closed.
-- `body` is the JSON of the act; `digest` its SHA-256 in hex; `expects` the digest of the registry that its author saw.
CREATE TABLE proposals (
  id TEXT PRIMARY KEY NOT NULL CHECK (length(id) = 32),
  kind TEXT NOT NULL CHECK (kind IN ('change', 'lift', 'elevation')),
  body TEXT NOT NULL CHECK (json_valid(body)),
  digest TEXT NOT NULL CHECK (length(digest) = 64),
  expects TEXT,
  why TEXT NOT NULL,
  proposed_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL CHECK (expires_at > proposed_at),
  proposed_by TEXT NOT NULL,
  proposer_issuer TEXT NOT NULL,
  proposer_subject TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'approved', 'closed')),
  decided_at INTEGER,
  decided_by TEXT,
  decider_issuer TEXT,
  decider_subject TEXT,
  note TEXT,
  CHECK ((state = 'open') = (decided_at IS NULL) AND (state = 'open') = (decided_by IS NULL)),
  -- Two operators of one person are one person.
  CHECK (state <> 'approved' OR (decided_by <> proposed_by AND decider_issuer IS NOT NULL AND decider_subject IS NOT NULL
    AND (decider_issuer <> proposer_issuer OR decider_subject <> proposer_subject)))
) STRICT;
--> statement-breakpoint
CREATE INDEX proposals_by_state ON proposals (state, proposed_at);
--> statement-breakpoint
-- A role that an operator has for a limited time, by an approved proposal.
CREATE TABLE elevations (
  proposal TEXT PRIMARY KEY NOT NULL REFERENCES proposals (id),
  operator TEXT NOT NULL REFERENCES operators (id),
  role TEXT NOT NULL,
  ends INTEGER NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX elevations_by_operator ON elevations (operator, ends);
--> statement-breakpoint
CREATE TRIGGER proposals_decided_once BEFORE UPDATE ON proposals WHEN OLD.state <> 'open'
BEGIN SELECT RAISE(ABORT, 'the proposal is decided'); END;
