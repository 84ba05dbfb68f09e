//! End-to-end journeys with real counterparts; the tests are in tests/.
