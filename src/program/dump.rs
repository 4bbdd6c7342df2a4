//! Dumps of a loaded program: its instructions as the verifier left them, its machine code, and the source lines that
//! they come from.

use super::Program;
use super::info::{self, BTF_ID, Raw};
use crate::asm::Style;
use crate::btf::{Btf, KernelTypes};
use crate::error::Result;
use crate::insn::{ByteOrder, Insn, Op, Pseudo};
use crate::kernel::symbols;
use crate::syscall::{self, InfoArray, Numbered, ObjInfo};
use crate::uapi::Errno;
use crate::util::escape::shown;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::sync::OnceLock;

/// The instructions of a program in the kernel.
///
/// They differ from those that were loaded: the verifier has replaced the numbers of helpers by addresses and the
/// descriptors of maps by ids, and has inlined calls and removed unreachable code.
#[derive(Debug, Clone)]
pub struct ProgramDump {
    /// The slots. Empty without permission to see them: that takes `CAP_BPF`, and `CAP_SYS_ADMIN` before Linux 5.8.
    pub slots: Vec<Insn>,
    /// The name of each function that begins at a slot, if the program has BTF (Linux 5.0).
    pub functions: BTreeMap<u32, String>,
    /// The source, if the program has BTF with line information (Linux 5.0).
    pub lines: Vec<SourceLine>,
    /// The machine code, one item per function. Empty without a JIT, and without permission to see kernel addresses
    /// (`kernel.kptr_restrict`).
    pub jited: Vec<JitedFunction>,
    /// The names of called functions, by the immediate of the call: read when they are shown.
    names: OnceLock<BTreeMap<i32, String>>,
}

/// The source line of the slots from one on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLine {
    /// The index of the first slot.
    pub slot: u32,
    /// The name of the file.
    pub file: String,
    /// The line number, 0 if it is not known.
    pub line: u32,
    /// The column, 0 if it is not known.
    pub column: u32,
    /// The text of the line.
    pub text: String,
}

/// The machine code of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JitedFunction {
    /// Its address, 0 without permission to see it (Linux 4.18).
    pub address: u64,
    /// Its bytes.
    pub code: Vec<u8>,
}

impl Program {
    /// Reads the program back from the kernel. `bpf(2)`, `BPF_OBJ_GET_INFO_BY_FD`; Linux 4.13.
    ///
    /// The names of helpers come from `/proc/kallsyms`, which takes some tens of milliseconds to read, when the
    /// [instructions](ProgramDump::instructions) are asked for. Where addresses are hidden (`kernel.kptr_restrict`)
    /// they stay numbers.
    ///
    /// # Errors
    /// [`Error::Call`](crate::Error::Call).
    pub fn dump(&self) -> Result<ProgramDump> {
        self.read_back().map_err(|errno| self.refused("read back", errno, None))
    }

    fn read_back(&self) -> Result<ProgramDump, Errno> {
        let first = info::ask(self.as_fd())?;
        let array = |array| info::array(self.as_fd(), &first, array);
        let slots: Vec<Insn> = array(&info::XLATED)?
            .as_chunks::<8>()
            .0
            .iter()
            .map(|bytes| Insn::from_bytes(*bytes, ByteOrder::NATIVE))
            .collect();
        let code = array(&info::JITED)?;
        let addresses = array(&info::JITED_SYMBOLS)?;
        let lengths = array(&info::JITED_LENGTHS)?;
        let jited = jited(&code, &addresses, &lengths);
        // A program without BTF has no functions and lines. The BTF of another program may be gone, or opening it not
        // permitted.
        let btf = btf(&first).ok().flatten();
        let (mut functions, mut lines) = (BTreeMap::new(), Vec::new());
        if let Some(btf) = btf {
            functions = named(&btf, &array(&info::FUNCTIONS)?);
            lines = source(&btf, &array(&info::LINES)?);
        }
        Ok(ProgramDump { slots, functions, lines, jited, names: OnceLock::new() })
    }
}

/// Splits the machine code into functions. Kernels before 4.18 return it in one piece.
fn jited(code: &[u8], addresses: &[u8], lengths: &[u8]) -> Vec<JitedFunction> {
    let addresses = addresses.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
    let mut addresses = addresses.chain(std::iter::repeat(0));
    let mut rest = code;
    let mut pieces = Vec::new();
    let mut add = |code: &[u8]| {
        if !code.is_empty() {
            pieces.push(JitedFunction {
                address: addresses.next().unwrap_or(0),
                code: code.to_vec(),
            });
        }
    };
    for length in info::words(lengths) {
        let (piece, after) = rest.split_at(rest.len().min(length as usize));
        add(piece);
        rest = after;
    }
    add(rest);
    pieces
}

/// Returns the types of the program behind a descriptor; `None` if it has none.
pub(super) fn types(program: std::os::fd::BorrowedFd<'_>) -> Result<Option<Btf>, Errno> {
    btf(&info::ask(program)?)
}

/// Returns the program's own types.
fn btf(program: &Raw) -> Result<Option<Btf>, Errno> {
    let id = program.word(BTF_ID);
    if id == 0 {
        return Ok(None);
    }
    let fd = syscall::fd_by_id(Numbered::Btf, id, 0)?;
    Ok(read_btf(fd.as_fd())?.and_then(|bytes| Btf::new(bytes).ok()))
}

/// Reads the bytes of loaded BTF: `struct bpf_btf_info`, which begins with a pointer to them and their size.
pub(crate) fn read_btf(btf: std::os::fd::BorrowedFd<'_>) -> Result<Option<Vec<u8>>, Errno> {
    let mut info = [0; 16];
    syscall::obj_info(&mut ObjInfo { object: btf, info: &mut info, len: 0, arrays: &mut [] })?;
    let size =
        info.get(8..).and_then(|rest| rest.first_chunk()).map(|size| u32::from_ne_bytes(*size));
    let mut bytes = vec![0; size.unwrap_or(0) as usize];
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut arrays =
        [InfoArray { pointer_at: 0, count_at: 8, size_at: None, item: 1, bytes: &mut bytes }];
    let mut info = [0; 16];
    syscall::obj_info(&mut ObjInfo { object: btf, info: &mut info, len: 0, arrays: &mut arrays })?;
    Ok(Some(bytes))
}

/// Parses `struct bpf_func_info`: a slot and a type.
fn named(btf: &Btf, records: &[u8]) -> BTreeMap<u32, String> {
    let words: Vec<u32> = info::words(records).collect();
    let (records, _) = words.as_chunks::<2>();
    let name = |[slot, id]: &[u32; 2]| Some((*slot, btf.get(*id).ok()?.name.to_owned()));
    records.iter().filter_map(name).collect()
}

/// Parses `struct bpf_line_info`: a slot, the string offsets of the file name and of the line's text, line and column.
fn source(btf: &Btf, records: &[u8]) -> Vec<SourceLine> {
    let words: Vec<u32> = info::words(records).collect();
    let (records, _) = words.as_chunks::<4>();
    let line = |[slot, file, text, place]: &[u32; 4]| {
        let string = |at: &u32| btf.string(*at, 0).map(str::to_owned).unwrap_or_default();
        SourceLine {
            slot: *slot,
            file: string(file),
            line: place >> 10,
            column: place & 0x3ff,
            text: string(text).trim().to_owned(),
        }
    };
    records.iter().map(line).collect()
}

/// `BPF_JMP | BPF_CALL`.
const CALL: u8 = 0x85;
const LOCAL: u8 = 1;
const KFUNC: u8 = 2;

/// The symbol whose address the immediates of calls are relative to.
const BASE: &str = "__bpf_call_base";

/// Returns the names of the functions that a program calls, by the immediate of the call: the distance of an address
/// from a symbol, or the BTF id of a kernel function.
fn names(slots: &[Insn]) -> BTreeMap<i32, String> {
    let calls = |source: Option<u8>| {
        let wanted = move |slot: &&Insn| {
            slot.opcode() == CALL
                && slot.src() != LOCAL
                && source.is_none_or(|src| src == slot.src())
        };
        slots.iter().filter(wanted).map(|slot| slot.imm()).filter(|imm| *imm != 0)
    };
    let mut names = BTreeMap::new();
    if calls(None).next().is_none() {
        return names;
    }
    if let Ok(Some(base)) = symbols::address_of(BASE) {
        let wanted: BTreeMap<u64, i32> =
            calls(None).map(|imm| (base.wrapping_add_signed(imm.into()), imm)).collect();
        // Without names the listing is still useful.
        let _ = symbols::each(|symbol| {
            if let Some(imm) = wanted.get(&symbol.address).filter(|_| symbol.is_function()) {
                let name = symbol.name.to_owned();
                names.entry(*imm).or_insert(name);
            }
            ControlFlow::Continue(())
        });
    }
    // If kernel functions may be out of reach of 32 bits (since Linux 6.3 on x86-64), the immediate remains the BTF id
    // of the function.
    let kfuncs = calls(Some(KFUNC)).filter(|imm| !names.contains_key(imm)).collect::<Vec<_>>();
    if let (false, Ok(btf)) = (kfuncs.is_empty(), KernelTypes::new().vmlinux()) {
        for imm in kfuncs {
            let known = btf.get(imm.cast_unsigned()).ok().filter(|found| !found.name.is_empty());
            names.extend(known.map(|found| (imm, found.name.to_owned())));
        }
    }
    names
}

impl ProgramDump {
    /// Returns the instructions one by one, each with the index of its first slot and as text; in the kernel's style as
    /// in the verifier's log and `bpftool prog dump xlated`: `(85) call bpf_ktime_get_ns#271264`.
    ///
    /// An instruction that no program can be loaded with is shown by its number, or by the kernel's name for it.
    pub fn instructions(&self, style: Style) -> Vec<(usize, String)> {
        let mut listed = Vec::new();
        let mut at = 0;
        while let Some(rest) = self.slots.get(at..).filter(|rest| !rest.is_empty()) {
            let (text, len) = self.instruction(at, rest, style);
            listed.push((at, text));
            at += len;
        }
        listed
    }

    fn names(&self) -> &BTreeMap<i32, String> {
        self.names.get_or_init(|| names(&self.slots))
    }

    /// Returns the text of the first instruction, and the number of its slots.
    fn instruction(&self, at: usize, slots: &[Insn], style: Style) -> (String, usize) {
        let Some(slot) = slots.first() else { return (String::new(), 1) };
        let code = match style {
            Style::Kernel => format!("({:02x}) ", slot.opcode()),
            Style::Llvm => String::new(),
        };
        match slot.opcode() {
            CALL if slot.src() == LOCAL => {
                // The distance is here: the immediate has been replaced by the id of the function, or its address.
                let distance = slot.offset();
                let target = u32::try_from(at as i64 + 1 + i64::from(distance)).ok();
                let name = target.and_then(|target| self.functions.get(&target));
                let text = match (style, name) {
                    (Style::Kernel, Some(name)) => format!("call pc{distance:+}#{name}"),
                    (Style::Kernel, None) => format!("call pc{distance:+}"),
                    (Style::Llvm, Some(name)) => format!("call {name}"),
                    (Style::Llvm, None) => format!("call {distance:+}"),
                };
                return (code + &text, 1);
            }
            CALL => {
                let imm = slot.imm();
                let text = match (style, self.names().get(&imm)) {
                    (Style::Kernel, Some(name)) => format!("call {name}#{imm}"),
                    (Style::Kernel, None) => format!("call unknown#{imm}"),
                    (Style::Llvm, Some(name)) => {
                        format!("call {}", name.strip_prefix("bpf_").unwrap_or(name))
                    }
                    (Style::Llvm, None) => format!("call {imm}"),
                };
                return (code + &text, 1);
            }
            // The address of a per-CPU variable (BPF_ADDR_PERCPU, Linux 6.10).
            0xbf if slot.offset() == -1 => {
                let (dst, src) = (slot.dst(), slot.src());
                return (code + &format!("r{dst} = &(void __percpu *)(r{src})"), 1);
            }
            // BPF_ST | BPF_NOSPEC: a barrier against speculative execution. Linux 5.14.
            0xc2 => return (code + "nospec", 1),
            _ => {}
        }
        match Op::decode(slots) {
            Ok(Op::LoadImm64 { dst, kind: Pseudo::MapFd, low, .. }) => {
                (format!("{code}r{} = map[id:{low}]", dst.number()), 2)
            }
            Ok(Op::LoadImm64 { dst, kind: Pseudo::MapValue, low, high }) => {
                (format!("{code}r{} = map[id:{low}][0]{high:+}", dst.number()), 2)
            }
            Ok(op) => {
                let text = if style == Style::Kernel { format!("{op:#}") } else { op.to_string() };
                (text, op.slots())
            }
            Err(_) => {
                let bytes = slot.to_bytes(ByteOrder::NATIVE).map(|byte| format!("{byte:02x}"));
                (format!("{code}?? {}", bytes.join(" ")), 1)
            }
        }
    }

    /// Returns the source line that begins at a slot.
    pub fn line_at(&self, slot: usize) -> Option<&SourceLine> {
        let at = self.lines.binary_search_by_key(&slot, |line| line.slot as usize).ok()?;
        self.lines.get(at)
    }

    /// Returns the listing: names of functions, instructions with the index of their slot, and before them the source
    /// that they come from, with `places` also its file, line and column.
    pub fn text(&self, style: Style, places: bool) -> String {
        let mut out = String::new();
        for (slot, text) in self.instructions(style) {
            let function = u32::try_from(slot).ok().and_then(|slot| self.functions.get(&slot));
            if let Some(name) = function {
                let _ = writeln!(out, "{}:", shown(name));
            }
            if let Some(line) = self.line_at(slot) {
                let _ = write!(out, "; {}", shown(&line.text));
                if places {
                    let SourceLine { file, line, column, .. } = line;
                    let _ =
                        write!(out, " [file:{} line_num:{line} line_col:{column}]", shown(file));
                }
                out.push('\n');
            }
            let _ = writeln!(out, "{slot:>4}: {text}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(slots: Vec<Insn>) -> ProgramDump {
        ProgramDump {
            slots,
            functions: [(0, "main".to_owned()), (8, "twice".to_owned())].into(),
            lines: vec![SourceLine {
                slot: 1,
                file: "a.s".into(),
                line: 7,
                column: 3,
                text: "r1 = m ll".into(),
            }],
            jited: vec![],
            names: OnceLock::from(BTreeMap::from([(271_264, "bpf_ktime_get_ns".to_owned())])),
        }
    }

    #[test]
    fn what_only_the_kernel_writes_is_shown() {
        let slots = vec![
            Insn::from_fields(0x85, 0, 0, 0, 271_264),
            Insn::from_fields(0x18, 1, 1, 0, 12),
            Insn::from_fields(0, 0, 0, 0, 0),
            Insn::from_fields(0x18, 2, 2, 0, 13),
            Insn::from_fields(0, 0, 0, 0, 8),
            // The id of the function, and the distance.
            Insn::from_fields(0x85, 0, 1, 2, 1),
            Insn::from_fields(0xbf, 0, 1, -1, 0),
            Insn::from_fields(0x85, 0, 0, 0, -5),
            Insn::from_fields(0xc2, 0, 0, 0, 0),
            Insn::from_fields(0xff, 0, 0, 0, 1),
            Insn::from_fields(0x95, 0, 0, 0, 0),
        ];
        let order = slots[9].to_bytes(ByteOrder::NATIVE).map(|byte| format!("{byte:02x}"));
        let dump = dump(slots);
        assert_eq!(
            dump.text(Style::Kernel, true),
            format!(
                "main:\n   0: (85) call bpf_ktime_get_ns#271264\n; r1 = m ll [file:a.s line_num:7 line_col:3]\n   \
                 1: (18) r1 = map[id:12]\n   3: (18) r2 = map[id:13][0]+8\n   5: (85) call pc+2#twice\n   \
                 6: (bf) r0 = &(void __percpu *)(r1)\n   7: (85) call unknown#-5\ntwice:\n   8: (c2) nospec\n   \
                 9: (ff) ?? {}\n  10: (95) exit\n",
                order.join(" ")
            )
        );
        let llvm = dump.text(Style::Llvm, false);
        assert!(
            llvm.starts_with("main:\n   0: call ktime_get_ns\n; r1 = m ll\n   1: r1"),
            "{llvm}"
        );
        assert!(llvm.contains("   5: call twice\n"), "{llvm}");
    }

    #[test]
    fn half_a_wide_instruction_does_not_end_the_listing() {
        let listed = dump(vec![Insn::from_fields(0x18, 1, 0, 0, 12)]).instructions(Style::Kernel);
        assert_eq!(listed.len(), 1);
        assert!(listed[0].1.starts_with("(18) ?? "), "{listed:?}");
    }

    #[test]
    fn machine_code_is_cut_into_functions() {
        let address = 0xffff_0000_u64.to_ne_bytes();
        let lengths: Vec<u8> = [2u32, 3].iter().flat_map(|len| len.to_ne_bytes()).collect();
        let pieces = jited(b"abcde", &address, &lengths);
        let expected = [(0xffff_0000, b"ab".to_vec()), (0, b"cde".to_vec())];
        assert_eq!(
            pieces.iter().map(|p| (p.address, p.code.clone())).collect::<Vec<_>>(),
            expected
        );
        // Before Linux 4.18, and lengths beyond the end of the code.
        assert_eq!(jited(b"abc", &[], &[])[0].code, b"abc");
        assert_eq!(jited(b"a", &address, &lengths).len(), 1);
        assert_eq!(jited(b"", &address, &[]), []);
    }
}
