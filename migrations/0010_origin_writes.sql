-- What an origin's server is known to do with writes: a transaction as a whole or in part, and whether a DELETE heeds If-Match.
ALTER TABLE origins ADD COLUMN transactions TEXT CHECK (transactions IN ('atomic', 'partial'));
--> statement-breakpoint
ALTER TABLE origins ADD COLUMN honours_if_match_on_delete INTEGER CHECK (honours_if_match_on_delete IN (0, 1));
