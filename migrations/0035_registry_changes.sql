-- The newest changes of the tables that the gateway keeps copies of, in order: the changed record, and a random
-- version of the whole registry after the change. An isolate asks for the changes since the version that it knows,
-- in place of reading each record again (ADR 96). Random and not only counted: a database that was restored to an
-- earlier time must not repeat a version.
-- A migration that makes one of these tables anew makes its triggers anew, and inserts a row with the record ''.
CREATE TABLE registry_changes (
  number INTEGER PRIMARY KEY NOT NULL,
  version TEXT NOT NULL UNIQUE DEFAULT (lower(hex(randomblob(16)))) CHECK (length(version) = 32),
  -- 'client/ID', 'origin/NAME', 'issuer/ISS'; '' is any record
  record TEXT NOT NULL
) STRICT;
--> statement-breakpoint
INSERT INTO registry_changes (record) VALUES ('');
--> statement-breakpoint
-- An isolate that knows none of the newest changes reads each record again.
CREATE TRIGGER registry_changes_bounded AFTER INSERT ON registry_changes
BEGIN DELETE FROM registry_changes WHERE number <= NEW.number - 4096; END;
--> statement-breakpoint
CREATE TRIGGER clients_insert_listed AFTER INSERT ON clients
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || NEW.id); END;
--> statement-breakpoint
CREATE TRIGGER clients_update_listed AFTER UPDATE ON clients
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || OLD.id), ('client/' || NEW.id); END;
--> statement-breakpoint
CREATE TRIGGER clients_delete_listed AFTER DELETE ON clients
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || OLD.id); END;
--> statement-breakpoint
CREATE TRIGGER certificates_insert_listed AFTER INSERT ON certificates
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || NEW.client); END;
--> statement-breakpoint
CREATE TRIGGER certificates_update_listed AFTER UPDATE ON certificates
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || OLD.client), ('client/' || NEW.client); END;
--> statement-breakpoint
CREATE TRIGGER certificates_delete_listed AFTER DELETE ON certificates
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || OLD.client); END;
--> statement-breakpoint
CREATE TRIGGER certificate_subjects_insert_listed AFTER INSERT ON certificate_subjects
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || NEW.client); END;
--> statement-breakpoint
CREATE TRIGGER certificate_subjects_update_listed AFTER UPDATE ON certificate_subjects
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || OLD.client), ('client/' || NEW.client); END;
--> statement-breakpoint
CREATE TRIGGER certificate_subjects_delete_listed AFTER DELETE ON certificate_subjects
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || OLD.client); END;
--> statement-breakpoint
CREATE TRIGGER agreements_insert_listed AFTER INSERT ON agreements
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || NEW.client); END;
--> statement-breakpoint
CREATE TRIGGER agreements_update_listed AFTER UPDATE ON agreements
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || OLD.client), ('client/' || NEW.client); END;
--> statement-breakpoint
CREATE TRIGGER agreements_delete_listed AFTER DELETE ON agreements
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || OLD.client); END;
--> statement-breakpoint
CREATE TRIGGER grants_insert_listed AFTER INSERT ON grants
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || NEW.client); END;
--> statement-breakpoint
CREATE TRIGGER grants_update_listed AFTER UPDATE ON grants
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || OLD.client), ('client/' || NEW.client); END;
--> statement-breakpoint
CREATE TRIGGER grants_delete_listed AFTER DELETE ON grants
BEGIN INSERT INTO registry_changes (record) VALUES ('client/' || OLD.client); END;
--> statement-breakpoint
CREATE TRIGGER origins_insert_listed AFTER INSERT ON origins
BEGIN INSERT INTO registry_changes (record) VALUES ('origin/' || NEW.name); END;
--> statement-breakpoint
CREATE TRIGGER origins_update_listed AFTER UPDATE ON origins
BEGIN INSERT INTO registry_changes (record) VALUES ('origin/' || OLD.name), ('origin/' || NEW.name); END;
--> statement-breakpoint
CREATE TRIGGER origins_delete_listed AFTER DELETE ON origins
BEGIN INSERT INTO registry_changes (record) VALUES ('origin/' || OLD.name); END;
--> statement-breakpoint
CREATE TRIGGER issuers_insert_listed AFTER INSERT ON issuers
BEGIN INSERT INTO registry_changes (record) VALUES ('issuer/' || NEW.iss); END;
--> statement-breakpoint
CREATE TRIGGER issuers_update_listed AFTER UPDATE ON issuers
BEGIN INSERT INTO registry_changes (record) VALUES ('issuer/' || OLD.iss), ('issuer/' || NEW.iss); END;
--> statement-breakpoint
CREATE TRIGGER issuers_delete_listed AFTER DELETE ON issuers
BEGIN INSERT INTO registry_changes (record) VALUES ('issuer/' || OLD.iss); END;
--> statement-breakpoint
CREATE TRIGGER agreement_purposes_insert_listed AFTER INSERT ON agreement_purposes
BEGIN INSERT INTO registry_changes (record) VALUES (coalesce('client/' || (SELECT client FROM agreements WHERE id = NEW.agreement), '')); END;
--> statement-breakpoint
CREATE TRIGGER agreement_purposes_update_listed AFTER UPDATE ON agreement_purposes
BEGIN INSERT INTO registry_changes (record) VALUES (coalesce('client/' || (SELECT client FROM agreements WHERE id = OLD.agreement), '')), (coalesce('client/' || (SELECT client FROM agreements WHERE id = NEW.agreement), '')); END;
--> statement-breakpoint
CREATE TRIGGER agreement_purposes_delete_listed AFTER DELETE ON agreement_purposes
BEGIN INSERT INTO registry_changes (record) VALUES (coalesce('client/' || (SELECT client FROM agreements WHERE id = OLD.agreement), '')); END;
