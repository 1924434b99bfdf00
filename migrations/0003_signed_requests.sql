-- Signed requests per grant, the client's certificate for an origin, and the day until which a client's unbound tokens are taken.

ALTER TABLE clients ADD COLUMN unbound_until INTEGER CHECK (unbound_until IS NULL OR auth = 'external');
--> statement-breakpoint
ALTER TABLE grants ADD COLUMN signed_requests INTEGER NOT NULL DEFAULT 0 CHECK (signed_requests IN (0, 1));
--> statement-breakpoint
ALTER TABLE origins ADD COLUMN forward_client_cert INTEGER NOT NULL DEFAULT 0 CHECK (forward_client_cert IN (0, 1));
