//! Chores of the project: virtual machines, the whole test run.
fn main() {}
