//! Text to code.
//!
//! The statements are read by the same functions that the compiler runs for `bpf!`
//! ([`statement`](super::statement)); here is what a text has besides: directives, labels that are looked up in a
//! table, and listings of the kernel.

use super::build::{Assembly, Builder, Label};
use super::diagnostic::{Diagnostics, Mistake};
use super::directive::{self, Directive};
use super::listing_text;
use super::names::{Names, names};
use super::resolve::{BuildOptions, ResolveError};
use super::statement::{Chunks, Cursor, Dialect, Problem, Span, Statement, Target, What};
use crate::insn::{ByteOrder, Insn, Op, Pseudo};
use crate::spec::MapSpec;

/// How a text is assembled.
#[derive(Debug, Clone, Default)]
pub struct ParseOptions {
    build: BuildOptions,
    order: Option<ByteOrder>,
}

impl ParseOptions {
    /// For this machine, with the defaults of [`BuildOptions`].
    pub fn new() -> ParseOptions {
        ParseOptions::default()
    }

    /// For a machine of this byte order. It matters to strings that are stored: the slots themselves are put in
    /// order when they become bytes.
    pub fn order(mut self, order: ByteOrder) -> ParseOptions {
        self.order = Some(order);
        self
    }

    /// How far jumps are made to reach.
    pub fn build(mut self, options: BuildOptions) -> ParseOptions {
        self.build = options;
        self
    }
}

/// A text, assembled: programs, and the maps and the data that they share.
#[derive(Debug, Clone)]
pub struct Module<'t> {
    license: Option<String>,
    maps: Vec<MapSpec<'t>>,
    data: Vec<u8>,
    programs: Vec<TextProgram<'t>>,
}

/// One program of a [`Module`].
#[derive(Debug, Clone)]
pub struct TextProgram<'t> {
    name: &'t str,
    target: Option<&'t str>,
    assembly: Assembly<'t>,
    references: Vec<Reference>,
}

/// An `lddw` whose address is to be filled in when the program is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// The index of its first slot.
    pub slot: u32,
    /// Whose address it is.
    pub to: Referent,
}

/// What an address in the code of a text is the address of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Referent {
    /// The map of this index in [`Module::maps`]; with an offset into its value where the instruction says so.
    Map(usize),
    /// The [data](Module::data); the instruction has the offset.
    Data,
}

impl<'t> Module<'t> {
    /// The license that `.license` declares.
    pub fn license(&self) -> Option<&str> {
        self.license.as_deref()
    }

    /// The maps that `.map` declares.
    pub fn maps(&self) -> &[MapSpec<'t>] {
        &self.maps
    }

    /// The bytes of `.rodata`.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The programs, in the order of the text. Code before the first `.program` is one of its own, `main`.
    pub fn programs(&self) -> &[TextProgram<'t>] {
        &self.programs
    }
}

impl<'t> TextProgram<'t> {
    /// Its name.
    pub fn name(&self) -> &'t str {
        self.name
    }

    /// Where it is to be attached, as `.program` says: `kprobe/sys_clone`.
    pub fn target(&self) -> Option<&'t str> {
        self.target
    }

    /// Its slots, with zeros where addresses are to be filled in.
    pub fn slots(&self) -> &[Insn] {
        self.assembly.code().slots
    }

    /// What is to be filled in.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The statement that a slot comes from; `None` past the end.
    pub fn statement(&self, slot: usize) -> Option<String> {
        self.assembly.code().statement(slot)
    }
}

/// Assembles a text. `file` is what messages call it.
///
/// ```
/// use rawbpf::asm::{ParseOptions, parse};
///
/// let module = parse("r0 = 1; exit", "two.s", &ParseOptions::new())?;
/// assert_eq!(module.programs()[0].slots().len(), 2);
///
/// let mistakes = parse("r12 = 1\nfoo\n", "wrong.s", &ParseOptions::new()).unwrap_err();
/// assert_eq!(mistakes.iter().count(), 2);
/// # Ok::<(), rawbpf::asm::Diagnostics>(())
/// ```
///
/// The language is that of [`bpf!`](crate::bpf) with a line for a statement, and what `docs/assembly.md` lists. A
/// listing that the kernel made, a verifier log or a dump of `bpftool prog dump xlated`, is recognised by the opcode in
/// parentheses behind each index.
///
/// # Errors
/// All the mistakes there are, not the first only.
pub fn parse<'t>(
    text: &'t str,
    file: &str,
    options: &ParseOptions,
) -> Result<Module<'t>, Diagnostics> {
    let mut parser = Parser::new(text, file, options);
    if u32::try_from(text.len()).is_err() {
        let message = "the text is longer than 4 GiB".into();
        return Err(Diagnostics::new(vec![Mistake { message, start: 0, end: 0 }], file, ""));
    }
    parser.statements();
    let module = parser.finish();
    // To this language a listing is one mistake after the other: only a text with mistakes need be looked at.
    if module.is_err() && listing_text::is_listing(text) {
        let mut parser = Parser::new(text, file, options);
        parser.listing();
        return parser.finish();
    }
    module
}

struct Parser<'t, 'o> {
    text: &'t str,
    file: &'o str,
    options: &'o ParseOptions,
    mistakes: Vec<Mistake>,
    module: Module<'t>,
    /// In the order of their names.
    constants: Vec<(&'t str, i128)>,
    maps: Names<'t, usize>,
    /// Where in the data a name stands.
    data_labels: Names<'t, u32>,
    in_data: bool,
    draft: Draft<'t>,
}

/// The program that is being read.
struct Draft<'t> {
    /// Where `.program` names it.
    declared: Option<Span>,
    name: &'t str,
    target: Option<&'t str>,
    builder: Builder<'t>,
    /// Where in `named` a name is: the table is small, and moves quickly when it grows.
    labels: Names<'t, u32>,
    named: Vec<Named>,
    numbered: Names<'t, Numbered>,
    /// Addresses: the index of the line of code, and what it names.
    names: Vec<(usize, Referent)>,
    statements: usize,
}

/// A label with a name.
struct Named {
    label: Label,
    bound: bool,
    /// Where it was first used, and what is wrong there if the label stands nowhere.
    used: Option<(Span, Unbound)>,
}

/// What a name could have been, if it is not a label.
#[derive(Clone, Copy)]
enum Unbound {
    Helper,
    Label,
    Address,
}

impl Unbound {
    fn what(self) -> What {
        match self {
            Unbound::Helper => What::NoHelper,
            Unbound::Label => What::NoLabel,
            Unbound::Address => What::NoAddress,
        }
    }
}

/// A label with a number: the last one that stood, and the next one if something refers to it already.
#[derive(Default)]
struct Numbered {
    last: Option<Label>,
    next: Option<(Label, Span)>,
}

impl<'t> Draft<'t> {
    fn new(name: &'t str, target: Option<&'t str>) -> Draft<'t> {
        Draft {
            declared: None,
            name,
            target,
            builder: Builder::new(),
            labels: names(0),
            named: Vec::new(),
            numbered: names(0),
            names: Vec::new(),
            statements: 0,
        }
    }

    fn named(&mut self, name: &'t str) -> &mut Named {
        let next = self.named.len();
        // A text has fewer than 2^32 bytes, and so it has names.
        let index = *self.labels.entry(name).or_insert(next as u32) as usize;
        if index == next {
            let label = self.builder.label_lent(name);
            self.named.push(Named { label, bound: false, used: None });
        }
        &mut self.named[index]
    }
}

impl<'t, 'o> Parser<'t, 'o> {
    fn new(text: &'t str, file: &'o str, options: &'o ParseOptions) -> Parser<'t, 'o> {
        Parser {
            text,
            file,
            options,
            mistakes: Vec::new(),
            module: Module {
                license: None,
                maps: Vec::new(),
                data: Vec::new(),
                programs: Vec::new(),
            },
            constants: Vec::new(),
            maps: names(0),
            data_labels: names(0),
            in_data: false,
            draft: Draft::new("main", None),
        }
    }

    fn mistake(&mut self, problem: Problem) {
        self.mistakes.push(Mistake::of(&problem, self.text));
    }

    fn order(&self) -> ByteOrder {
        self.options.order.unwrap_or(ByteOrder::NATIVE)
    }

    fn slice(&self, span: Span) -> &'t str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    // ---- a text of statements ---------------------------------------------------------------------

    fn statements(&mut self) {
        let mut at = 0;
        loop {
            // The constants can grow with every directive, so that they are lent to one stretch of
            // statements at a time.
            let constants = std::mem::take(&mut self.constants);
            let mut cursor = Cursor::at(self.text, at, Dialect::Text, &constants);
            let directive = self.stretch(&mut cursor);
            at = cursor.at;
            self.constants = constants;
            match directive {
                None => return,
                Some(Directive::Constant { name, value }) => self.constant(name, value),
                Some(other) => self.direct(other),
            }
        }
    }

    /// Reads statements up to a directive or the end.
    fn stretch(&mut self, cursor: &mut Cursor<'_>) -> Option<Directive> {
        while cursor.more() {
            let start = cursor.at;
            let problem = if cursor.peek() == b'.' {
                match directive::read(cursor) {
                    Ok(directive) => return Some(directive),
                    Err(_) => cursor.failure(),
                }
            } else {
                match cursor.statement() {
                    Ok(statement) => {
                        let end = cursor.at;
                        match self.take(statement, start, end) {
                            Ok(()) => continue,
                            Err(problem) => problem,
                        }
                    }
                    Err(_) => cursor.failure(),
                }
            };
            self.mistake(problem);
            // The next statement is told by the next separator; whatever stands before it belongs to this one.
            while !cursor.at_end() {
                cursor.at += 1;
                cursor.skip();
            }
        }
        None
    }

    fn take(&mut self, statement: Statement<'_>, start: usize, end: usize) -> Result<(), Problem> {
        if let Statement::Label(span) = statement {
            return self.label(span);
        }
        if self.in_data {
            let what =
                What::Not("data: after .rodata come labels and data, until .text or .program");
            return Err(Problem { span: Span { start, end }, what });
        }
        let draft = &mut self.draft;
        if draft.statements == 0 && self.module.programs.is_empty() {
            // Few texts have other colons than those of labels, and what grows is copied.
            let labels = self.text.bytes().filter(|byte| *byte == b':').count();
            let _ = draft.labels.try_reserve(labels);
            let _ = draft.named.try_reserve(labels);
            // Room for statements of an ordinary length. A second program gets none: it would be as much again.
            draft.builder.reserve((self.text.len() - start) / 16, labels);
        }
        // No text of 4 GiB gets here: `finish` has refused it.
        draft.builder.at(start as u32..end as u32);
        draft.statements += 1;
        match statement {
            Statement::Label(_) => {}
            Statement::Bytes { base, offset, literal } => {
                let order = self.options.order.unwrap_or(ByteOrder::NATIVE);
                let mut chunks = Chunks::new(self.text.as_bytes(), literal, offset, order);
                while let Some((size, offset, imm)) = chunks.next() {
                    draft.builder.push(Op::StoreImm { size, base, offset, imm });
                }
            }
            Statement::Op { op, target } => match target {
                Target::None | Target::Map(_) => {
                    draft.builder.push(op);
                }
                Target::Label(span) => self.jump(op, span)?,
                Target::Name(span, offset) => self.address(op, span, offset)?,
            },
        }
        Ok(())
    }

    fn label(&mut self, span: Span) -> Result<(), Problem> {
        let name = self.slice(span);
        let twice = Err(Problem { span, what: What::SecondLabel });
        if self.in_data {
            let place = self.module.data.len() as u32;
            return match self.data_labels.insert(name, place) {
                None => Ok(()),
                Some(_) => twice,
            };
        }
        let draft = &mut self.draft;
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            let numbered = draft.numbered.entry(name).or_default();
            let label = match numbered.next.take() {
                Some((label, _)) => label,
                None => draft.builder.label_lent(name),
            };
            numbered.last = Some(label);
            draft.builder.bind(label);
            return Ok(());
        }
        let named = draft.named(name);
        if named.bound {
            return twice;
        }
        named.bound = true;
        let label = named.label;
        draft.builder.bind(label);
        Ok(())
    }

    /// A jump or a call to a label.
    fn jump(&mut self, op: Op, span: Span) -> Result<(), Problem> {
        let name = self.slice(span);
        let draft = &mut self.draft;
        let digits = name.trim_end_matches(['f', 'b']);
        let label = if name.starts_with(|c: char| c.is_ascii_digit()) {
            let numbered = draft.numbered.entry(digits).or_default();
            if name.ends_with('b') {
                numbered.last.ok_or(Problem { span, what: What::NoLabel })?
            } else {
                let builder = &mut draft.builder;
                numbered.next.get_or_insert_with(|| (builder.label_lent(digits), span)).0
            }
        } else {
            let call = matches!(op, Op::CallLocal { .. });
            let named = draft.named(name);
            named.used.get_or_insert((span, if call { Unbound::Helper } else { Unbound::Label }));
            named.label
        };
        draft.builder.push_to(op, label);
        Ok(())
    }

    /// The address of a map, of data, or of a function. Maps and data are declared before they are used; any other
    /// name is that of a function, which can come later.
    fn address(&mut self, op: Op, span: Span, offset: i32) -> Result<(), Problem> {
        let name = self.slice(span);
        let Op::LoadImm64 { dst, .. } = op else { return Ok(()) };
        let referent = match (self.maps.get(name), self.data_labels.get(name)) {
            (Some(map), _) => Referent::Map(*map),
            (None, Some(_)) => Referent::Data,
            (None, None) => {
                // A function, then: or a mistake, which shows when the label does not.
                if offset != 0 {
                    let what = What::Not("a map or data; only their addresses take an offset");
                    return Err(Problem { span, what });
                }
                let named = self.draft.named(name);
                named.used.get_or_insert((span, Unbound::Address));
                let label = named.label;
                self.draft.builder.load_function(dst, label);
                return Ok(());
            }
        };
        let (kind, high) = match (referent, offset) {
            (Referent::Map(_), 0) => (Pseudo::MapFd, 0),
            (Referent::Map(_), offset) => (Pseudo::MapValue, offset),
            (Referent::Data, offset) => {
                let place = self.data_labels.get(name).copied().unwrap_or_default();
                let high = i64::from(place) + i64::from(offset);
                if high < 0 || high > self.module.data.len() as i64 {
                    let (low, length) = (-i64::from(place), self.module.data.len() as i64);
                    let value = i128::from(offset);
                    let high = length - i64::from(place);
                    let what = What::Range { field: "the offset", value, low, high };
                    return Err(Problem { span, what });
                }
                (Pseudo::MapValue, high as i32)
            }
        };
        self.draft.builder.push(Op::LoadImm64 { dst, kind, low: 0, high });
        let line = self.draft.builder.lines() - 1;
        self.draft.names.push((line, referent));
        Ok(())
    }

    // ---- directives -------------------------------------------------------------------------------

    fn constant(&mut self, name: Span, value: i128) {
        let text = self.slice(name);
        match self.constants.binary_search_by_key(&text, |(known, _)| *known) {
            Ok(_) => self.mistake(Problem { span: name, what: What::SecondName }),
            Err(place) => self.constants.insert(place, (text, value)),
        }
    }

    fn direct(&mut self, directive: Directive) {
        match directive {
            Directive::Constant { .. } => {}
            Directive::Program { name, target } => {
                self.end_of_program();
                let target = target.map(|span| self.slice(span));
                self.draft = Draft::new(self.slice(name), target);
                self.draft.declared = Some(name);
                self.in_data = false;
            }
            Directive::License(license) => self.module.license = Some(license),
            Directive::Map { name, kind, key_size, value_size, max_entries, flags } => {
                let text = self.slice(name);
                if self.maps.insert(text, self.module.maps.len()).is_some() {
                    self.mistake(Problem { span: name, what: What::SecondName });
                }
                let spec = MapSpec { name: text, kind, key_size, value_size, max_entries, flags };
                self.module.maps.push(spec);
            }
            Directive::Rodata => self.in_data = true,
            Directive::Text => self.in_data = false,
            Directive::Data { span, .. } | Directive::Align { span, .. } if !self.in_data => {
                let what = What::Not("allowed here: data stands after .rodata");
                self.mistake(Problem { span, what });
            }
            Directive::Data { bytes, width, .. } => {
                let order = self.order();
                for value in bytes.chunks(width.max(1)) {
                    match order {
                        ByteOrder::Little => self.module.data.extend(value),
                        ByteOrder::Big => self.module.data.extend(value.iter().rev()),
                    }
                }
            }
            Directive::Align { to, .. } => {
                let length = self.module.data.len().next_multiple_of(to);
                self.module.data.resize(length, 0);
            }
        }
    }

    // ---- a listing of the kernel's -----------------------------------------------------------------

    fn listing(&mut self) {
        match listing_text::read(self.text) {
            Ok(instructions) => {
                for (op, span) in instructions {
                    self.draft.builder.at(span.start as u32..span.end as u32).push(op);
                    self.draft.statements += 1;
                }
            }
            Err(problems) => problems.into_iter().for_each(|problem| self.mistake(problem)),
        }
    }

    // ---- the end ----------------------------------------------------------------------------------

    /// Finishes the program that was being read, if there is one.
    fn end_of_program(&mut self) {
        let draft = std::mem::replace(&mut self.draft, Draft::new("main", None));
        if draft.statements == 0 {
            if let Some(span) = draft.declared {
                self.mistake(Problem {
                    span,
                    what: What::Not("a program: it has no instructions"),
                });
            }
            return;
        }
        let mut problems: Vec<_> = draft
            .named
            .iter()
            .filter(|named| !named.bound)
            .filter_map(|named| named.used)
            .map(|(span, unbound)| Problem { span, what: unbound.what() })
            .chain(draft.numbered.values().filter_map(|numbered| {
                let (_, span) = numbered.next?;
                Some(Problem { span, what: What::NoLabel })
            }))
            .collect();
        problems.sort_by_key(|problem| problem.span.start);
        if !problems.is_empty() {
            problems.into_iter().for_each(|problem| self.mistake(problem));
            return;
        }
        match draft.builder.into_assembly(&self.options.build) {
            Ok(assembly) => {
                let assembly = assembly.with_source(self.text, "", 1);
                let lines = assembly.code().lines;
                let references = draft
                    .names
                    .iter()
                    .filter_map(|(line, to)| {
                        Some(Reference { slot: lines.get(*line)?.slot, to: *to })
                    })
                    .collect();
                let (name, target) = (draft.name, draft.target);
                self.module.programs.push(TextProgram { name, target, assembly, references });
            }
            Err(errors) => {
                for error in errors.iter() {
                    self.unresolved(error);
                }
            }
        }
    }

    fn unresolved(&mut self, error: &ResolveError) {
        let (start, end) = match error.span() {
            Some(span) => (span.start as usize, span.end as usize),
            None => (0, 0),
        };
        self.mistakes.push(Mistake { message: error.to_string(), start, end });
    }

    fn finish(mut self) -> Result<Module<'t>, Diagnostics> {
        self.end_of_program();
        if self.mistakes.is_empty() {
            Ok(self.module)
        } else {
            Err(Diagnostics::new(self.mistakes, self.file, self.text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_behind_a_statement_without_slots() {
        let text = ".map m, hash, key=4, value=4, max=1\n*(u8 *)(r10 - 8) = b\"\"\nr0 = 1\nr1 = m ll\nr2 = 3\nexit";
        let module = parse(text, "empty.s", &ParseOptions::new()).unwrap();
        let expected = Reference { slot: 1, to: Referent::Map(0) };
        assert_eq!(module.programs()[0].references(), [expected]);
    }
}
