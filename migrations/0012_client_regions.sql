-- The home of a client: where its guard and the logs of its DPoP keys are placed, and when that changed last.
ALTER TABLE clients ADD COLUMN region TEXT CHECK (length(region) BETWEEN 1 AND 16);
--> statement-breakpoint
ALTER TABLE clients ADD COLUMN region_since INTEGER;
