//! Plans over several worlds, killed at every moment and by thousands of seeds; worlds that go away in the middle.
