-- A grant of a limited data set needs a data use agreement (45 CFR 164.514(e)(4)). Null: the kind was not said.
ALTER TABLE agreements ADD COLUMN kind TEXT CHECK (kind IN ('business-associate', 'data-use', 'authorization'));
