//! From functions to instructions.

use super::error::{CodegenError, CodegenProblem};
use super::function::Function;
use super::unit::{Compiled, Options};

pub(super) fn compile<'a>(
    _functions: Vec<Function<'a>>,
    main: Function<'a>,
    _rodata: Vec<u8>,
    _options: &Options,
) -> Result<Compiled<'a>, CodegenError> {
    if let Some(mistake) = main.mistake {
        return Err(mistake);
    }
    let problem = CodegenProblem::NeverFilled { block: 0 };
    Err(CodegenError { function: main.name, problem, span: None })
}
