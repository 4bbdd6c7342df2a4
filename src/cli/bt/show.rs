//! `-d`: what becomes of a script, stage by stage.

use super::args::{Args, Stage};
use super::compile;
use crate::bt::Options;
use crate::cli::Failure;
use crate::cli::stdio::print;

/// Prints the stages of `-d`.
pub(super) fn show(text: &str, options: &Options, args: &Args) -> Result<u8, Failure> {
    let wanted = |stage| args.debug.contains(&Stage::All) || args.debug.contains(&stage);
    let mut out = String::new();
    if wanted(Stage::Parse) {
        out += &options.syntax(text)?;
    }
    let script = compile(text, options, args)?;
    if wanted(Stage::Types) {
        out += &script.typed();
    }
    if wanted(Stage::Codegen) {
        out += &script.virtual_code()?;
    }
    if wanted(Stage::Instructions) {
        out += &script.instructions()?;
    }
    print(&out)?;
    Ok(0)
}
