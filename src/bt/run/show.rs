//! Shows the stages of a script's compilation.

use super::feature::Kernel;
use super::script::{Options, Parsed, Result, Script, ScriptError};
use super::start::target;
use crate::asm::{PrintOptions, disassemble};
use crate::bt::diagnostic::Diagnostic;
use crate::bt::dump::dump;
use crate::bt::lower::lower;
use crate::bt::plan::{MapPlan, Plan, ProgramPlan};
use crate::bt::source::Source;
use crate::bt::syntax::tree;
use std::cell::RefCell;
use std::fmt::Write;

impl Options {
    /// Returns the syntax tree of a script.
    pub(crate) fn syntax(&self, text: &str) -> Result<String> {
        let parsed = Parsed::new(Source::new(&self.name, text), self)?;
        Ok(format!("Syntax\n------\n{}\n", tree(&parsed.script)))
    }
}

impl Script {
    /// Returns the typed program.
    pub(crate) fn typed(&self) -> String {
        format!("Typed program\n-------------\n{}\n", dump(&self.program))
    }

    /// Returns the code before registers are allocated.
    pub(crate) fn virtual_code(&self) -> Result<String> {
        let mut out = "Virtual code\n------------\n".to_owned();
        self.lowered(|_, code| code.iter().for_each(|code| out += &format!("{code}\n")))?;
        Ok(out)
    }

    /// Returns the instructions, with the line of the script that they come from.
    pub(crate) fn instructions(&self) -> Result<String> {
        let mut out = "Instructions\n------------\n".to_owned();
        self.lowered(|plan, _| {
            for program in &plan.programs {
                self.listing(program, plan, &mut out);
            }
        })?;
        Ok(out)
    }

    fn lowered(&self, f: impl FnOnce(&Plan<'_>, &[String])) -> Result<()> {
        let (kernel, code) = (Kernel::default(), RefCell::new(Vec::new()));
        let has = |feature| kernel.has(feature);
        let mut target = target(&has)?;
        target.virtual_code = Some(&code);
        let program = &*self.program;
        let refuse = |diagnostic: Diagnostic| ScriptError::at(&diagnostic, &program.source, None);
        let maps = MapPlan::new(program, &target).map_err(refuse)?;
        let plan = lower(program, &maps, &target).map_err(refuse)?;
        f(&plan, &code.borrow());
        Ok(())
    }

    /// Appends the instructions of a program; before those of each piece of the script, its line.
    fn listing(&self, program: &ProgramPlan<'_>, plan: &Plan<'_>, out: &mut String) {
        let code = program.code.code_with_fields();
        let point = plan.points.get(program.points.start as usize);
        let point = point.map(ToString::to_string).unwrap_or_default();
        let slots = code.slots.len();
        let _ =
            writeln!(out, "{point}: {} program `{}`, {slots} slots", program.kind, program.name);
        let options = PrintOptions { code: Some(&code), ..PrintOptions::default() };
        let text = match disassemble(code.slots, &options) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        };
        // A piece of the script becomes several instructions: it stands before the first.
        let mut shown = None;
        for line in text.lines() {
            if line.trim_start().starts_with("//") {
                if shown == Some(line) {
                    continue;
                }
                shown = Some(line);
            }
            let _ = writeln!(out, "{line}");
        }
        out.push('\n');
    }
}
