-- The messages in which the individual disagrees with a denial (45 CFR 164.526(d)(2)), as a JSON object in the order of their
-- receipt: a message's request id and number to its time in ms since 1970, and to its place, such as `Communication/1`. The
-- place is null until the origin says it.
ALTER TABLE cases ADD COLUMN disagreements TEXT;
