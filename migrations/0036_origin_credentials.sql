-- The schema of the registry file says what the credentials of an origin are (src/registry/document.ts). The check of
-- migration 0001 listed their kinds a second time, and a kind that the schema has since got could not be stored.
ALTER TABLE origins ADD COLUMN credentials_kept TEXT NOT NULL DEFAULT '{"kind":"none"}' CHECK (json_valid(credentials_kept) AND json_type(credentials_kept) = 'object');
--> statement-breakpoint
-- The entries stay the same, so their probes stay on record.
DROP TRIGGER origin_probes_of_changed;
--> statement-breakpoint
UPDATE origins SET credentials_kept = credentials;
--> statement-breakpoint
ALTER TABLE origins DROP COLUMN credentials;
--> statement-breakpoint
ALTER TABLE origins RENAME COLUMN credentials_kept TO credentials;
--> statement-breakpoint
-- Headers that each request to the origin carries: values, or names of secrets.
ALTER TABLE origins ADD COLUMN headers TEXT CHECK (json_valid(headers) AND json_type(headers) = 'object');
--> statement-breakpoint
CREATE TRIGGER origin_probes_of_changed AFTER UPDATE ON origins
BEGIN DELETE FROM origin_probes WHERE origin = NEW.name; END;
