-- Whether the gateway counts the elements that leave under a grant.
ALTER TABLE grants ADD COLUMN measure_elements INTEGER NOT NULL DEFAULT 0 CHECK (measure_elements IN (0, 1));
