//! Tracefs.
