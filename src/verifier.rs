//! What the verifier said.
use std::fmt;
/// A rejection.
#[derive(Debug)]
pub struct VerifierError {}
impl fmt::Display for VerifierError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
impl std::error::Error for VerifierError {}
