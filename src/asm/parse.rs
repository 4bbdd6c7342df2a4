//! The parser: text to code.
//!
//! Statements are parsed by the same functions that the compiler runs for `bpf!` ([`statement`](super::statement));
//! this module adds what only a text has: directives, labels that are looked up in a table, and listings of the kernel.

use super::build::{Builder, Label};
use super::data::Sections;
use super::diagnostic::{Diagnostics, Mistake};
use super::directive::{self, Directive};
use super::helpers::HELPERS;
use super::listing_text;
use super::names::{Names, names};
use super::resolve::{BuildOptions, ResolveError};
use super::statement::{
    Chunks, Cursor, Dialect, Plain, Problem, Span, Statement, Symbol, Target, What, indentation,
    plain, unmistakable,
};
use super::{Collection, CollectionProgram, LibraryFunction, RelocField, RelocTarget, Section};
use crate::insn::{ByteOrder, Op};
use crate::spec::MapSpec;
use crate::uapi::MapFlags;
use crate::util::lines::line_breaks;
use crate::util::lines::without_mark;
use crate::util::nearest::{Nearest, OFFERED};
use std::borrow::Cow;

mod data;

/// Options of [`parse()`].
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

    /// Sets the handling of jumps that do not reach their labels.
    pub fn build(mut self, options: BuildOptions) -> ParseOptions {
        self.build = options;
        self
    }
}

/// Assembles a text. `file` is its name in messages.
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
/// All errors that were found, not only the first.
pub fn parse<'t>(
    text: &'t str,
    file: &str,
    options: &ParseOptions,
) -> Result<Collection<'t>, Diagnostics> {
    let text = without_mark(text);
    let mut parser = Parser::new(text, file, options);
    if u32::try_from(text.len()).is_err() {
        let message = "the text is longer than 4 GiB".into();
        return Err(Diagnostics::new(vec![Mistake { message, start: 0, end: 0 }], file, ""));
    }
    parser.statements();
    let module = parser.finish();
    // As assembly, a listing is an error on each line: only a text with errors need be examined.
    if module.is_err() && listing_text::is_listing(text) {
        let mut parser = Parser::new(text, file, options);
        parser.listing();
        return parser.finish();
    }
    module
}

/// The most errors of a text for which nearest names are searched.
const HINTED: usize = 100;

/// Adds the nearest names to a mistake.
fn offer(mistake: &mut Mistake, names: &[String]) {
    if !names.is_empty() {
        mistake.message += &format!("; the nearest: {}", names.join(", "));
    }
}

/// Returns whether the name of a label is a number.
fn is_number(name: &str) -> bool {
    name.as_bytes().first().is_some_and(u8::is_ascii_digit)
}

/// Counts the colons, in chunks of as many bytes as a `u8` can count, which the compiler vectorizes.
fn colons(text: &[u8]) -> usize {
    let count = |bytes: &[u8]| bytes.iter().map(|byte| u8::from(*byte == b':')).sum::<u8>();
    text.chunks(192).map(|bytes| usize::from(count(bytes))).sum()
}

struct Parser<'t, 'o> {
    text: &'t str,
    file: &'o str,
    options: &'o ParseOptions,
    mistakes: Vec<Mistake>,
    /// The mistakes that are about unknown names.
    unknown: Vec<(usize, Span)>,
    collection: Collection<'t>,
    /// The data of the collection.
    data: Sections<'t>,
    /// The indices of the maps by their names.
    map_names: Names<'t, usize>,
    /// The constants, in the order of their names.
    constants: Vec<(&'t str, i128)>,
    /// Whether every word that looks like a register is one: no constant has such a name.
    unmistakable: bool,
    /// The data sections and offsets of labels in data.
    data_labels: Names<'t, (Section, u32)>,
    /// The section that is being read, if it is not code.
    section: Option<Section>,
    draft: Draft<'t>,
    /// The place up to which lines have been counted, and the number of the line there.
    counted: (usize, u32),
}

/// The program that is being parsed.
struct Draft<'t> {
    /// The position of its name in `.program`.
    declared: Option<Span>,
    name: &'t str,
    target: Option<&'t str>,
    builder: Builder<'t>,
    /// The index in `named` of each name: the table is small, and is copied quickly when it grows.
    labels: Names<'t, u32>,
    named: Vec<Named>,
    numbered: Names<'t, Numbered>,
    statements: usize,
}

/// A label with a name.
struct Named {
    label: Label,
    bound: bool,
    /// Whether it is called.
    called: bool,
    /// The problem at its first use if the label is not defined,
    used: Option<Unbound>,
    /// and the position of that use. (No text has more than 4 GiB, and there can be very many of these.)
    at: (u32, u32),
}

impl Named {
    fn used_at(&mut self, span: Span, unbound: Unbound) -> Label {
        self.called |= matches!(unbound, Unbound::Helper);
        if self.used.is_none() {
            self.used = Some(unbound);
            self.at = (span.start as u32, span.end as u32);
        }
        self.label
    }

    /// Returns the problem, if the label is not defined.
    fn problem(&self) -> Option<Problem> {
        let span = Span { start: self.at.0 as usize, end: self.at.1 as usize };
        let what = self.used.filter(|_| !self.bound)?.what();
        Some(Problem { span, what })
    }
}

/// The kinds of name that an undefined label could have been.
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

/// A label with a number: its last definition, and the next one if something refers to it already.
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
            statements: 0,
        }
    }

    fn named(&mut self, name: &'t str) -> &mut Named {
        let next = self.named.len();
        // A text has fewer than 2^32 bytes, and so fewer names.
        let index = *self.labels.entry(name).or_insert(next as u32) as usize;
        if index == next {
            let label = self.builder.label_lent(name);
            self.named.push(Named { label, bound: false, called: false, used: None, at: (0, 0) });
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
            unknown: Vec::new(),
            collection: Collection { file: Cow::Owned(file.into()), ..Collection::default() },
            data: Sections::default(),
            map_names: names(0),
            constants: Vec::new(),
            unmistakable: true,
            data_labels: names(0),
            section: None,
            draft: Draft::new("main", None),
            counted: (0, 1),
        }
    }

    fn mistake(&mut self, problem: Problem) {
        if matches!(problem.what, What::NoRegister(_) | What::NoAddress) {
            self.unknown.push((self.mistakes.len(), problem.span));
        }
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
        let (mut at, mut llvm_ld_pseudo) = (0, false);
        loop {
            // Every directive can add constants, so they are lent to one run of statements at a time.
            let constants = std::mem::take(&mut self.constants);
            let mut cursor = Cursor::at(self.text, at, Dialect::Text, &constants);
            cursor.llvm_ld_pseudo = llvm_ld_pseudo;
            let directive = self.stretch(&mut cursor, self.unmistakable);
            (at, llvm_ld_pseudo) = (cursor.at, cursor.llvm_ld_pseudo);
            self.constants = constants;
            match directive {
                None => return,
                Some(Directive::Constant { name, value }) => self.constant(name, value),
                Some(other) => self.direct(other),
            }
        }
    }

    /// Parses statements up to a directive or the end.
    fn stretch(&mut self, cursor: &mut Cursor<'_>, quick: bool) -> Option<Directive> {
        loop {
            cursor.at = indentation(cursor.text, cursor.at);
            if !cursor.more() {
                return None;
            }
            let start = cursor.at;
            let quick = if quick { plain(cursor.text, start) } else { None };
            let problem = if let Some((read, end)) = quick {
                cursor.at = end;
                match self.take_plain(read, start, end) {
                    Ok(()) => continue,
                    Err(problem) => problem,
                }
            } else if cursor.peek() == b'.' {
                match directive::read(cursor) {
                    Ok(directive) => return Some(directive),
                    Err(_) => cursor.failure(),
                }
            } else {
                match cursor.statement() {
                    Ok(statement) => {
                        let (end, symbols) = (cursor.behind(), cursor.take_symbols());
                        match self.take(statement, symbols, start, end) {
                            Ok(()) => continue,
                            Err(problem) => problem,
                        }
                    }
                    Err(_) => {
                        cursor.take_symbols();
                        cursor.failure()
                    }
                }
            };
            self.mistake(problem);
            // The next separator begins the next statement; everything before it belongs to this one.
            while !cursor.at_end() {
                cursor.at += 1;
                cursor.skip();
            }
        }
    }

    fn take(
        &mut self,
        statement: Statement<'_>,
        symbols: [Option<Symbol>; 2],
        start: usize,
        end: usize,
    ) -> Result<(), Problem> {
        if let Statement::Label(span) = statement {
            return self.label(span);
        }
        self.begin(start, end)?;
        for (symbol, field) in symbols.into_iter().zip([RelocField::Offset, RelocField::Immediate])
        {
            if let Some(Symbol { kind, span }) = symbol {
                let target = RelocTarget::Name(self.slice(span));
                self.draft.builder.relocate(field, kind, target);
            }
        }
        let draft = &mut self.draft;
        match statement {
            Statement::Label(_) | Statement::Option => {}
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
                Target::Text(span) => self.text_address(op, span),
            },
        }
        Ok(())
    }

    fn take_plain(&mut self, read: Plain, start: usize, end: usize) -> Result<(), Problem> {
        match read {
            Plain::Label(span) => return self.label(span),
            Plain::Slot(slot) => {
                self.begin(start, end)?;
                self.draft.builder.push_slot(slot);
            }
            Plain::To(slot, span) => {
                self.begin(start, end)?;
                let label = self.draft.named(self.slice(span)).used_at(span, Unbound::Label);
                self.draft.builder.push_slot_to(slot, label);
            }
        }
        Ok(())
    }

    /// Prepares for the first slot of the statement at this position.
    fn begin(&mut self, start: usize, end: usize) -> Result<(), Problem> {
        if self.section.is_some() {
            let what = What::Not(
                "data: after .rodata, .data and .bss come labels and data, until .text or .program",
            );
            return Err(Problem { span: Span { start, end }, what });
        }
        let draft = &mut self.draft;
        if draft.statements == 0 && self.collection.programs.is_empty() {
            // Few texts have other colons than those of labels, and a table that grows is copied.
            let labels = colons(self.text.as_bytes());
            let _ = draft.labels.try_reserve(labels);
            let _ = draft.named.try_reserve(labels);
            // Room for statements of ordinary length. A second program gets none: it would be as much again.
            draft.builder.reserve((self.text.len() - start) / 16, labels);
        }
        // A text of 4 GiB does not get here: `finish` has refused it.
        draft.builder.at(start as u32..end as u32);
        draft.statements += 1;
        Ok(())
    }

    fn label(&mut self, span: Span) -> Result<(), Problem> {
        let name = self.slice(span);
        let twice = Err(Problem { span, what: What::SecondLabel });
        if let Some(section) = self.section {
            return self.variable(section, span);
        }
        let draft = &mut self.draft;
        if is_number(name) {
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
        let label = if is_number(name) {
            let digits = name.trim_end_matches(['f', 'b']);
            let numbered = draft.numbered.entry(digits).or_default();
            if name.ends_with('b') {
                numbered.last.ok_or(Problem { span, what: What::NoLabel })?
            } else {
                let builder = &mut draft.builder;
                numbered.next.get_or_insert_with(|| (builder.label_lent(digits), span)).0
            }
        } else {
            let call = matches!(op, Op::CallLocal { .. });
            draft.named(name).used_at(span, if call { Unbound::Helper } else { Unbound::Label })
        };
        draft.builder.push_to(op, label);
        Ok(())
    }

    // ---- directives -------------------------------------------------------------------------------

    fn constant(&mut self, name: Span, value: i128) {
        let text = self.slice(name);
        match self.constants.binary_search_by_key(&text, |(known, _)| *known) {
            Ok(_) => self.mistake(Problem { span: name, what: What::SecondName }),
            Err(place) => {
                self.unmistakable &= unmistakable(text);
                self.constants.insert(place, (text, value));
            }
        }
    }

    fn direct(&mut self, directive: Directive) {
        match directive {
            Directive::Constant { .. } | Directive::Option => {}
            Directive::Program { name, target } => {
                self.end_of_program();
                let target = target.map(|span| self.slice(span));
                self.draft = Draft::new(self.slice(name), target);
                self.draft.declared = Some(name);
                self.section = None;
            }
            Directive::License(license) => self.collection.license = Some(license.into()),
            Directive::Map { name, kind, key_size, value_size, max_entries, flags, extra } => {
                let text = self.slice(name);
                let index = self.collection.maps.len();
                if self.data_labels.contains_key(text)
                    || self.map_names.insert(text, index).is_some()
                {
                    self.mistake(Problem { span: name, what: What::SecondName });
                }
                let spec = MapSpec::new(text, kind, key_size, value_size, max_entries)
                    .with_flags(MapFlags::from_bits_retain(flags));
                self.collection.maps.push(spec.with_map_extra(extra));
            }
            Directive::Section(section) => self.section = Some(section),
            Directive::Text => self.section = None,
            Directive::Data { span, .. }
            | Directive::Zeros { span, .. }
            | Directive::Align { span, .. } => {
                if let Err(what) = self.data(directive) {
                    self.mistake(Problem { span, what });
                }
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

    /// Finishes the program that is being parsed, if there is one.
    fn end_of_program(&mut self) {
        let mut draft = std::mem::replace(&mut self.draft, Draft::new("main", None));
        if draft.statements == 0 {
            if let Some(span) = draft.declared {
                self.mistake(Problem {
                    span,
                    what: What::Not("a program: it has no instructions"),
                });
            }
            return;
        }
        self.add_functions(&mut draft);
        let mut problems: Vec<_> = draft
            .named
            .iter()
            .filter_map(Named::problem)
            .chain(draft.numbered.values().filter_map(|numbered| {
                let (_, span) = numbered.next?;
                Some(Problem { span, what: What::NoLabel })
            }))
            .collect();
        problems.sort_by_key(|problem| problem.span.start);
        if !problems.is_empty() {
            for (count, problem) in problems.into_iter().enumerate() {
                self.mistake(problem);
                if count < HINTED {
                    self.nearest_label(&draft, &problem);
                }
            }
            return;
        }
        match draft.builder.into_assembly(&self.options.build) {
            Ok(assembly) => {
                let line = self.line_at(assembly.first_statement().unwrap_or(0) as usize);
                let assembly = assembly.with_source_at(self.text, "", line);
                let (name, target) = (draft.name, draft.target);
                self.collection.programs.push(CollectionProgram::new(name, target, assembly));
            }
            Err(errors) => {
                for error in errors.iter() {
                    self.unresolved(error);
                }
            }
        }
    }

    /// Adds the functions of the library that a program calls and does not define. Their source is the first mention.
    fn add_functions(&self, draft: &mut Draft<'_>) {
        for named in draft.named.iter_mut().filter(|named| named.called) {
            let Some(Problem { span, .. }) = named.problem() else { continue };
            if let Some(function) = LibraryFunction::from_name(self.slice(span)) {
                draft.builder.at(named.at.0..named.at.1).bind_function(named.label, function);
                named.bound = true;
            }
        }
    }

    /// Returns the line number of a position. Positions must be passed in ascending order.
    fn line_at(&mut self, place: usize) -> u32 {
        let (counted, line) = &mut self.counted;
        if let Some(passed) = self.text.as_bytes().get(*counted..place) {
            *line = line.saturating_add(line_breaks(passed));
            *counted = place;
        }
        *line
    }

    fn unresolved(&mut self, error: &ResolveError) {
        let (start, end) = match error.span() {
            Some(span) => (span.start as usize, span.end as usize),
            None => (0, 0),
        };
        self.mistakes.push(Mistake { message: error.to_string(), start, end });
    }

    /// Adds the nearest labels to the last mistake, an undefined label, and for a call the nearest helpers.
    fn nearest_label(&mut self, draft: &Draft<'_>, problem: &Problem) {
        let wanted = self.slice(problem.span);
        let plain = wanted.strip_prefix("bpf_").unwrap_or(wanted);
        let mut helpers = Nearest::new(plain, OFFERED);
        let mut labels = Nearest::new(wanted, OFFERED);
        if matches!(problem.what, What::NoHelper) {
            HELPERS.iter().skip(1).for_each(|name| helpers.offer(name));
            LibraryFunction::ALL.iter().for_each(|function| helpers.offer(function.name()));
        }
        let bound = |index: &u32| draft.named.get(*index as usize).is_some_and(|named| named.bound);
        for (name, _) in draft.labels.iter().filter(|(_, index)| bound(index)) {
            labels.offer(name);
        }
        let names: Vec<_> = helpers.into_names().into_iter().chain(labels.into_names()).collect();
        if let Some(mistake) = self.mistakes.last_mut() {
            offer(mistake, &names);
        }
    }

    /// Adds the nearest constants, maps and variables to the mistakes that are about unknown names.
    fn nearest_names(&mut self) {
        for (index, span) in std::mem::take(&mut self.unknown).into_iter().take(HINTED) {
            let mut nearest = Nearest::new(self.slice(span), OFFERED);
            let constants = self.constants.iter().map(|(name, _)| *name);
            let maps = self.map_names.keys().copied();
            for name in constants.chain(maps).chain(self.data_labels.keys().copied()) {
                nearest.offer(name);
            }
            if let Some(mistake) = self.mistakes.get_mut(index) {
                offer(mistake, &nearest.into_names());
            }
        }
    }

    fn finish(mut self) -> Result<Collection<'t>, Diagnostics> {
        self.end_of_program();
        self.nearest_names();
        self.collection.data = self.data.finish();
        if self.mistakes.is_empty() {
            Ok(self.collection)
        } else {
            Err(Diagnostics::new(self.mistakes, self.file, self.text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::{Reloc, RelocKind};

    #[test]
    fn a_statement_ends_before_the_comment_behind_it() {
        let text = "r1 = r2 # one\nr1 = 5 // two\n r1 s/= 0x7 ; r0 = *(u8 *)(r1+0)/* three */\nexit # four";
        let module = parse(text, "comments.s", &ParseOptions::new()).unwrap();
        let statements: Vec<_> =
            (0..5).filter_map(|slot| module.programs()[0].statement(slot)).collect();
        let expected = ["r1 = r2", "r1 = 5", "r1 s/= 0x7", "r0 = *(u8 *)(r1+0)", "exit"];
        assert_eq!(statements, expected);
    }

    #[test]
    fn names_of_the_kernel_are_kept_with_their_slots() {
        let text = "r1 = 1 ll\n  r1 = *(u32 *)(r1 + task_struct . tgid) # why\n\
            r2 = exists(task_struct.comm[ 3 ]); r3 = \"ab\" ll\n *(u32 *)(r10 + a.b) = sizeof( unsigned  int )\n exit\n";
        let module = parse(text, "names.s", &ParseOptions::new()).unwrap();
        let program = &module.programs()[0];
        let relocations = program.relocations().iter();
        let names: Vec<_> =
            relocations.map(|reloc| (reloc.slot, reloc.field, reloc.kind, reloc.name())).collect();
        let name = |slot, field, kind, name: &str| (slot, field, kind, name.to_owned());
        assert_eq!(
            names,
            [
                name(2, RelocField::Offset, RelocKind::Value, "task_struct.tgid"),
                name(3, RelocField::Immediate, RelocKind::Exists, "task_struct.comm[3]"),
                name(4, RelocField::Immediate, RelocKind::Map, ".rodata"),
                name(6, RelocField::Offset, RelocKind::Value, "a.b"),
                name(6, RelocField::Immediate, RelocKind::Size, "unsigned int"),
            ]
        );
        assert_eq!(module.data().rodata, b"ab\0");
        // A name that the kernel does not have, or in the wrong place, is still an error.
        for wrong in
            ["r1 = task_struct", "goto +a.b", "r1 += a.", "r1 = sizeof()", "call a.b", "r1 = \"a\""]
        {
            assert!(parse(wrong, "wrong.s", &ParseOptions::new()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_comment_is_no_part_of_a_name() {
        let text = "r1 = task_struct.tgid // 3: b7\nr1 = a.b[3] # no\nr1 = sizeof(unsigned int /* y */) // z\nexit";
        let module = parse(text, "names.s", &ParseOptions::new()).unwrap();
        let relocations = module.programs()[0].relocations().iter();
        let names: Vec<_> = relocations.map(Reloc::name).collect();
        assert_eq!(names, ["task_struct.tgid", "a.b[3]", "unsigned int"]);
    }

    #[test]
    fn an_address_is_found_behind_a_statement_without_slots() {
        let text = ".map m, hash, key=4, value=4, max=1\n*(u8 *)(r10 - 8) = b\"\"\nr0 = 1\nr1 = m ll\nr2 = 3\nexit";
        let module = parse(text, "empty.s", &ParseOptions::new()).unwrap();
        let [reloc] = module.programs()[0].relocations() else { panic!("{module:?}") };
        assert_eq!((reloc.slot, reloc.kind, reloc.name().as_str()), (1, RelocKind::Map, "m"));
        assert_eq!(module.maps().iter().map(|map| map.name).collect::<Vec<_>>(), ["m"]);
    }
}
