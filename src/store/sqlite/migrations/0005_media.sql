-- Artifacts that are images, sounds or other bytes, whose text is base64.
ALTER TABLE artifacts ADD COLUMN mime_type TEXT;        -- null for a text
ALTER TABLE artifacts ADD COLUMN media_bytes INTEGER;   -- decoded; null for a text
