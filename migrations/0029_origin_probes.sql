-- The last probe of each origin (docs/origins.md). `otherwise` is a JSON array of the members of the entry of which the
-- probe found less.
CREATE TABLE origin_probes (
  origin TEXT PRIMARY KEY NOT NULL REFERENCES origins (name) ON DELETE CASCADE,
  probed_at INTEGER NOT NULL,
  probed_by TEXT NOT NULL,
  wrote INTEGER NOT NULL CHECK (wrote IN (0, 1)),
  otherwise TEXT NOT NULL CHECK (json_valid(otherwise) AND json_type(otherwise) = 'array')
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
-- A probe says nothing about an entry that changed after it.
CREATE TRIGGER origin_probes_of_changed AFTER UPDATE ON origins
BEGIN DELETE FROM origin_probes WHERE origin = NEW.name; END;
