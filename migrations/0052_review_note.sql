-- The officer's words beside a finding. A changed finding has one.
ALTER TABLE reviews ADD COLUMN note TEXT;
