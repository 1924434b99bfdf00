-- Of a grant: what each subject of its tokens may ask, and how many records may leave, each in a window of its own.
ALTER TABLE grants ADD COLUMN subject_quota_requests INTEGER CHECK (subject_quota_requests > 0);
--> statement-breakpoint
ALTER TABLE grants ADD COLUMN subject_quota_window_seconds INTEGER CHECK (
  (subject_quota_window_seconds IS NULL) = (subject_quota_requests IS NULL) AND (subject_quota_window_seconds IS NULL OR subject_quota_window_seconds > 0)
);
--> statement-breakpoint
ALTER TABLE grants ADD COLUMN record_quota_records INTEGER CHECK (record_quota_records > 0);
--> statement-breakpoint
ALTER TABLE grants ADD COLUMN record_quota_window_seconds INTEGER CHECK (
  (record_quota_window_seconds IS NULL) = (record_quota_records IS NULL) AND (record_quota_window_seconds IS NULL OR record_quota_window_seconds > 0)
);
