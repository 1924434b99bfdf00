-- A proposal may register or change an operator: the list of kinds stands in a check, so the table is made anew, and the table
-- that refers to it.
CREATE TABLE new_proposals (
  id TEXT PRIMARY KEY NOT NULL CHECK (length(id) = 32),
  kind TEXT NOT NULL CHECK (kind IN ('change', 'lift', 'elevation', 'operator')),
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
INSERT INTO new_proposals SELECT * FROM proposals;
--> statement-breakpoint
CREATE TABLE new_elevations (
  proposal TEXT PRIMARY KEY NOT NULL REFERENCES new_proposals (id),
  operator TEXT NOT NULL REFERENCES operators (id),
  role TEXT NOT NULL,
  ends INTEGER NOT NULL
) STRICT;
--> statement-breakpoint
INSERT INTO new_elevations SELECT * FROM elevations;
--> statement-breakpoint
DROP TABLE elevations;
--> statement-breakpoint
DROP TABLE proposals;
--> statement-breakpoint
ALTER TABLE new_proposals RENAME TO proposals;
--> statement-breakpoint
ALTER TABLE new_elevations RENAME TO elevations;
--> statement-breakpoint
CREATE INDEX proposals_by_state ON proposals (state, proposed_at);
--> statement-breakpoint
CREATE INDEX elevations_by_operator ON elevations (operator, ends);
--> statement-breakpoint
CREATE TRIGGER proposals_decided_once BEFORE UPDATE ON proposals WHEN OLD.state <> 'open'
BEGIN SELECT RAISE(ABORT, 'the proposal is decided'); END;
