-- Stored authorities: under each a job acts after the token of its caller has ended. `evidence` is sealed, and is null
-- once the authority has ended. `person` and `token` are pseudonyms. `bound_to` is the thumbprint of the certificate or
-- the key.
CREATE TABLE authorities (
  id TEXT PRIMARY KEY NOT NULL CHECK (length(id) = 32),
  client TEXT NOT NULL,
  person TEXT NOT NULL CHECK (length(person) = 43),
  token TEXT NOT NULL CHECK (length(token) = 43),
  origin TEXT NOT NULL,
  purpose TEXT NOT NULL,
  agreement TEXT NOT NULL,
  bound_to TEXT NOT NULL CHECK (length(bound_to) = 43),
  task TEXT NOT NULL,
  made_at INTEGER NOT NULL,
  ends_at INTEGER NOT NULL CHECK (ends_at > made_at AND ends_at <= made_at + 7776000000),
  ended_at INTEGER,
  ended_by TEXT,
  evidence TEXT,
  CHECK ((ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NULL) = (evidence IS NOT NULL))
) STRICT;
--> statement-breakpoint
CREATE INDEX authorities_by_client ON authorities (client, person);
--> statement-breakpoint
CREATE INDEX authorities_by_person ON authorities (person);
--> statement-breakpoint
CREATE INDEX authorities_by_token ON authorities (token);
--> statement-breakpoint
CREATE INDEX authorities_by_end ON authorities (ends_at);
--> statement-breakpoint
CREATE INDEX authorities_by_early_end ON authorities (ended_at);
