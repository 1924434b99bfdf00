-- Grants whose answers the gateway signs (RFC 9421).
ALTER TABLE grants ADD COLUMN signed_responses INTEGER NOT NULL DEFAULT 0 CHECK (signed_responses IN (0, 1));
