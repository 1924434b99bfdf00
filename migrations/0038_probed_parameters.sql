-- Each parameter that a server states, by what the last probe showed (docs/origins.md): a JSON object with arrays of
-- `Type:parameter`. An earlier probe stored none.
ALTER TABLE origin_probes ADD COLUMN parameters TEXT NOT NULL DEFAULT '{"proven":[],"stated":[],"refused":[]}'
  CHECK (json_valid(parameters) AND json_type(parameters) = 'object');
