-- Whether each write of a client under a grant must have an Idempotency-Key.
ALTER TABLE grants ADD COLUMN keyed_writes INTEGER NOT NULL DEFAULT 0 CHECK (keyed_writes IN (0, 1));
