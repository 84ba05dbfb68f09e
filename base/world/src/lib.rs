//! Doors to the outside: clock, disk, randomness; the real ones and simulated ones with seeded faults.
