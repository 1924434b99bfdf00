-- Other FHIR bases by which an origin names itself: recognised, never asked.
ALTER TABLE origins ADD COLUMN also_known_as TEXT CHECK (json_valid(also_known_as) AND json_type(also_known_as) = 'array');
