-- The name of the entity behind a client, and its address if it is known: accountings name recipients by them (45 CFR 164.528(b)(2)(ii)).
ALTER TABLE clients ADD COLUMN entity TEXT CHECK (json_valid(entity) AND json_type(entity) = 'object');
