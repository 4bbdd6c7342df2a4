//! CPUs.
use crate::error::Result;
/// How many CPUs there can be.
pub fn possible_count() -> Result<u32> {
    Ok(2)
}
/// The numbers of the CPUs that run now.
pub fn online() -> Result<Vec<u32>> {
    Ok(vec![0, 1])
}
