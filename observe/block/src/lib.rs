//! WAL, segment files, checksums and the compaction timetable, shared by the stores.
