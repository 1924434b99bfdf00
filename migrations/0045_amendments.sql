-- The rows of the record that a request for an amendment names, as a JSON list of `Observation/1`: an amendment touches one
-- of them. Null: the case is older. An empty list: the request names none.
ALTER TABLE cases ADD COLUMN disputed TEXT;
