//! The builder of one function.

use super::error::{CodegenError, CodegenProblem};
use super::ir::{
    Address, AtomicBinary, Base, Binary, Block, BlockData, End, FunctionId, Inst, KernelValue,
    LoadKind, Object, ObjectData, Operand, Rodata, Span, Stmt, Symbol, Target, Var, span,
};
use crate::insn::{AtomicOp, AtomicSize, Bits, Condition, SignBits, Size, Swap, SwapBits};
use crate::spec::MapSpec;
use std::ops::Range;

/// A function, written statement by statement over variables ([`Var`]), objects in memory ([`Object`]) and blocks
/// ([`Block`]).
///
/// Statements are appended to the current block, at first the entry. No method fails: errors, such as a variable of
/// another function, are reported by [`Unit::compile`](super::Unit::compile), the first of them.
///
/// Instructions appended after the end of a block, before [`switch_to`](Function::switch_to), can never run and are
/// dropped.
#[derive(Debug, Clone)]
pub struct Function<'a> {
    pub(super) name: String,
    pub(super) parameters: Vec<Var>,
    pub(super) vars: u32,
    pub(super) objects: Vec<ObjectData>,
    pub(super) blocks: Vec<BlockData<'a>>,
    /// The blocks in the order in which they were switched to.
    pub(super) order: Vec<Block>,
    pub(super) scratch: Option<Scratch>,
    pub(super) numbers: Vec<Var>,
    pub(super) mistake: Option<CodegenError>,
    current: Block,
    span: Span,
}

/// Memory besides the stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scratch {
    pub base: Var,
    pub size: u32,
    /// The first object and the first variable that may be moved there.
    pub objects: u32,
    pub vars: u32,
}

/// The most parameters and arguments of a function: r1 to r5.
pub(super) const MAX_ARGS: usize = 5;

/// # The function
impl<'a> Function<'a> {
    /// Returns a function without statements, with up to 5 parameters. The main function of a program has one, the
    /// context.
    pub fn new(name: impl Into<String>, parameters: usize) -> Function<'a> {
        let count = parameters.min(MAX_ARGS) as u32;
        let mut function = Function {
            name: name.into(),
            parameters: (0..count).map(Var).collect(),
            vars: count,
            objects: Vec::new(),
            blocks: vec![BlockData { placed: true, ..BlockData::default() }],
            order: vec![Block(0)],
            scratch: None,
            numbers: Vec::new(),
            mistake: None,
            current: Block(0),
            span: None,
        };
        if parameters > MAX_ARGS {
            let what = function.name.clone();
            function.argument_count(what, parameters);
        }
        for (var, index) in (0..count).zip(0..) {
            function.inst(Inst::Parameter { dst: Var(var), index });
        }
        function
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the parameter of that index; `None` if the function has fewer.
    pub fn parameter(&self, index: usize) -> Option<Var> {
        self.parameters.get(index).copied()
    }

    /// Returns the first parameter, of the main function the context; a variable that holds 0 if there is none.
    pub fn context(&mut self) -> Var {
        match self.parameter(0) {
            Some(var) => var,
            None => self.imm(0),
        }
    }

    /// Sets the piece of the source, bytes, that the next statements come from; until this is called again.
    pub fn at(&mut self, piece: Range<u32>) {
        self.span = span(piece);
    }

    /// Gives the function `size` bytes of scratch memory, aligned to 8, such as a part of a per-CPU array's value.
    /// `base` holds their address from here on and must not be assigned any more; code before this point must not use
    /// variables and objects created after it. Objects created from here on that do not fit on the stack are moved to
    /// the memory, the largest first, and so are numbers that fit neither into registers nor on the stack.
    ///
    /// The memory need not be zeroed. It must be the function's own while it runs: programs interrupt each other
    /// on a CPU. Without it, a frame that is too large is the error [`ScratchNeeded`](CodegenProblem::ScratchNeeded)
    /// with the size to give; giving more makes no difference. Write the function again with that much. (Once more if
    /// the new code needs more.)
    pub fn scratch(&mut self, base: Var, size: u32) {
        let (objects, vars) = (self.objects.len() as u32, self.vars);
        self.scratch = Some(Scratch { base, size, objects, vars });
    }

    /// Declares that the variable never holds a pointer, so that it may be moved to scratch memory. Results of calls
    /// and of loads of eight bytes, and values computed from them by addition, are otherwise taken for pointers.
    pub fn number(&mut self, var: Var) {
        self.numbers.push(var);
    }

    fn new_var(&mut self) -> Var {
        let var = Var(self.vars);
        self.vars = self.vars.saturating_add(1);
        var
    }

    fn stmt(&mut self, stmt: Stmt<'a>) {
        let span = self.span;
        if let Some(block) =
            self.blocks.get_mut(self.current.0 as usize).filter(|b| b.end.is_none())
        {
            block.stmts.push((stmt, span));
        }
    }

    fn inst(&mut self, inst: Inst<'a>) {
        self.stmt(Stmt::Inst(inst));
    }

    fn mistake(&mut self, problem: CodegenProblem) {
        let span = self.span.map(|(start, end)| start..end);
        let function = self.name.clone();
        self.mistake.get_or_insert(CodegenError { function, problem, span });
    }

    fn argument_count(&mut self, what: String, given: usize) {
        let expected = format!("at most {MAX_ARGS}");
        self.mistake(CodegenProblem::Arguments { what, given, expected });
    }
}

/// # Values
impl<'a> Function<'a> {
    /// Returns a new variable. It holds 0 until it is assigned.
    pub fn var(&mut self) -> Var {
        self.new_var()
    }

    /// Returns a new variable that holds a constant. It costs no register: uses have the constant.
    pub fn imm(&mut self, value: i64) -> Var {
        let dst = self.new_var();
        self.assign(dst, value);
        dst
    }

    /// `dst = src`
    pub fn assign(&mut self, dst: Var, src: impl Into<Operand>) {
        self.stmt(Stmt::Assign { dst, src: src.into() });
    }

    /// Returns `a op b`, 64 bits.
    pub fn binary(&mut self, op: Binary, a: impl Into<Operand>, b: impl Into<Operand>) -> Var {
        let dst = self.new_var();
        self.binary_to(dst, Bits::B64, op, a, b);
        dst
    }

    /// Returns `a op b` of the low halves, 32 bits, zero-extended.
    pub fn binary32(&mut self, op: Binary, a: impl Into<Operand>, b: impl Into<Operand>) -> Var {
        let dst = self.new_var();
        self.binary_to(dst, Bits::B32, op, a, b);
        dst
    }

    /// `dst = a op b`, where `dst` may be an operand.
    pub fn binary_to(
        &mut self,
        dst: Var,
        bits: Bits,
        op: Binary,
        a: impl Into<Operand>,
        b: impl Into<Operand>,
    ) {
        self.stmt(Stmt::Binary { bits, op, dst, a: a.into(), b: b.into() });
    }

    /// Returns `a + b`.
    pub fn add(&mut self, a: impl Into<Operand>, b: impl Into<Operand>) -> Var {
        self.binary(Binary::Add, a, b)
    }

    /// Returns `a - b`.
    pub fn sub(&mut self, a: impl Into<Operand>, b: impl Into<Operand>) -> Var {
        self.binary(Binary::Sub, a, b)
    }

    /// Returns `a * b`.
    pub fn mul(&mut self, a: impl Into<Operand>, b: impl Into<Operand>) -> Var {
        self.binary(Binary::Mul, a, b)
    }

    /// Returns `a & b`.
    pub fn and(&mut self, a: impl Into<Operand>, b: impl Into<Operand>) -> Var {
        self.binary(Binary::And, a, b)
    }

    /// Returns `a | b`.
    pub fn or(&mut self, a: impl Into<Operand>, b: impl Into<Operand>) -> Var {
        self.binary(Binary::Or, a, b)
    }

    /// Returns `a ^ b`.
    pub fn xor(&mut self, a: impl Into<Operand>, b: impl Into<Operand>) -> Var {
        self.binary(Binary::Xor, a, b)
    }

    /// Returns `-a`.
    pub fn neg(&mut self, a: impl Into<Operand>) -> Var {
        self.binary(Binary::Sub, 0, a)
    }

    /// Returns `!a`, each bit reversed.
    pub fn not(&mut self, a: impl Into<Operand>) -> Var {
        self.binary(Binary::Xor, a, -1)
    }

    /// Returns the low bytes of `a`, with the sign of the highest of them extended to 64 bits.
    pub fn sign_extend(&mut self, a: impl Into<Operand>, from: Size) -> Var {
        let (dst, src) = (self.new_var(), a.into());
        match sign_bits(from) {
            Some(from) => self.stmt(Stmt::SignExtend { from, dst, src }),
            None => self.stmt(Stmt::Assign { dst, src }),
        }
        dst
    }

    /// Returns the low bytes of `a`, the others 0.
    pub fn zero_extend(&mut self, a: impl Into<Operand>, from: Size) -> Var {
        match from {
            Size::Double => {
                let dst = self.new_var();
                self.assign(dst, a);
                dst
            }
            // A 32-bit move: one instruction.
            Size::Word => self.binary32(Binary::Or, a, 0),
            Size::Half => self.binary(Binary::And, a, 0xffff),
            Size::Byte => self.binary(Binary::And, a, 0xff),
        }
    }

    /// Returns the low `bits` of `a` with their bytes reordered, the others 0.
    pub fn swap(&mut self, swap: Swap, bits: SwapBits, a: impl Into<Operand>) -> Var {
        let dst = self.new_var();
        self.stmt(Stmt::Swap { swap, bits, dst, src: a.into() });
        dst
    }

    /// Returns 1 if the condition holds, else 0, as numbers of 64 bits. Made without branches, so that the verifier has no
    /// more paths to follow; pointers can only be compared by [`branch`](Function::branch). A comparison whose one use
    /// is a [`branch_if`](Function::branch_if) right behind it becomes part of the branch.
    pub fn compare(
        &mut self,
        condition: Condition,
        a: impl Into<Operand>,
        b: impl Into<Operand>,
    ) -> Var {
        let (dst, bits) = (self.new_var(), Bits::B64);
        self.stmt(Stmt::Compare { bits, condition, dst, a: a.into(), b: b.into() });
        dst
    }

    /// [`compare`](Function::compare) of the low halves.
    pub fn compare32(
        &mut self,
        condition: Condition,
        a: impl Into<Operand>,
        b: impl Into<Operand>,
    ) -> Var {
        let (dst, bits) = (self.new_var(), Bits::B32);
        self.stmt(Stmt::Compare { bits, condition, dst, a: a.into(), b: b.into() });
        dst
    }

    /// Returns the address of a map.
    pub fn map(&mut self, map: &'a MapSpec<'a>) -> Var {
        self.symbol(Symbol::Map(map))
    }

    /// Returns the address of a byte in the value of an array of one element. Linux 5.2
    pub fn map_value(&mut self, map: &'a MapSpec<'a>, offset: u32) -> Var {
        self.symbol(Symbol::MapValue(map, offset))
    }

    /// Returns the address of constant bytes of the unit. Linux 5.2
    pub fn rodata(&mut self, data: Rodata) -> Var {
        self.symbol(Symbol::Rodata(data.offset))
    }

    /// Returns the address of a function, for a helper that calls it. Linux 5.13
    pub fn function_address(&mut self, function: FunctionId) -> Var {
        self.symbol(Symbol::Function(function))
    }

    /// Returns a number of the kernel that loads the program, by its name: `task_struct.tgid`.
    pub fn kernel_value(&mut self, name: &'a str, value: KernelValue) -> Var {
        self.symbol(Symbol::Kernel(name, value))
    }

    fn symbol(&mut self, symbol: Symbol<'a>) -> Var {
        let dst = self.new_var();
        self.inst(Inst::Symbol { dst, symbol });
        dst
    }
}

/// # Memory
impl<'a> Function<'a> {
    /// Returns a new object of `size` bytes, aligned to `align` (1, 2, 4 or 8). Its lifetime begins here, with
    /// undefined contents, each time this point is reached, and ends with the last use of it or of a pointer into it.
    /// Objects that are not alive at the same time share their memory.
    ///
    /// Pointers computed from [`address`](Function::address) are tracked; an object whose address is stored in memory
    /// is alive until the function ends. Helpers are assumed to keep no pointer beyond the call: for one that does
    /// (`dynptr_from_mem`), name the object in [`keep`](Function::keep) after its last use.
    pub fn object(&mut self, size: u32, align: u32) -> Object {
        if size == 0 || !matches!(align, 1 | 2 | 4 | 8) {
            self.mistake(CodegenProblem::Object { size, align });
        }
        let object = Object(self.objects.len() as u32);
        self.objects.push(ObjectData { size });
        self.inst(Inst::Start(object));
        object
    }

    /// Keeps the object's memory its own up to here.
    pub fn keep(&mut self, object: Object) {
        self.inst(Inst::Keep(object));
    }

    /// Returns the address of a place as a value.
    pub fn address(&mut self, of: impl Into<Address>) -> Var {
        let (dst, of) = (self.new_var(), of.into());
        self.check(of, 0);
        self.stmt(Stmt::Address { dst, of });
        dst
    }

    /// Returns the number at the address, zero-extended.
    pub fn load(&mut self, size: Size, from: impl Into<Address>) -> Var {
        self.load_kind(LoadKind::Zero, size, from.into(), None)
    }

    /// Returns the number at the address, sign-extended.
    pub fn load_signed(&mut self, size: Size, from: impl Into<Address>) -> Var {
        match sign_bits(size) {
            Some(bits) => self.load_kind(LoadKind::Signed(bits), size, from.into(), None),
            None => self.load(size, from),
        }
    }

    /// Returns the number at the address; later accesses to memory do not come before it. Linux 6.15
    pub fn load_acquire(&mut self, size: Size, from: impl Into<Address>) -> Var {
        self.load_kind(LoadKind::Acquire, size, from.into(), None)
    }

    /// Returns a field of a struct of the kernel that loads the program, `task_struct.tgid`, at the address of that struct.
    pub fn load_field(&mut self, size: Size, from: Var, name: &'a str) -> Var {
        self.load_kind(LoadKind::Zero, size, from.into(), Some(name))
    }

    fn load_kind(
        &mut self,
        kind: LoadKind,
        size: Size,
        from: Address,
        field: Option<&'a str>,
    ) -> Var {
        self.check(from, size.bytes().into());
        let (dst, base, offset) = (self.new_var(), from.base, from.offset);
        self.inst(Inst::Load { kind, size, dst, base, offset, field });
        dst
    }

    /// Stores the low bytes of a value.
    pub fn store(&mut self, size: Size, to: impl Into<Address>, src: impl Into<Operand>) {
        self.store_kind(false, size, to.into(), src.into());
    }

    /// Stores the low bytes of a value after all earlier accesses to memory. Linux 6.15
    pub fn store_release(&mut self, size: Size, to: impl Into<Address>, src: impl Into<Operand>) {
        self.store_kind(true, size, to.into(), src.into());
    }

    fn store_kind(&mut self, release: bool, size: Size, to: Address, src: Operand) {
        self.check(to, size.bytes().into());
        self.stmt(Stmt::Store { size, release, to, src });
    }

    /// Stores zeros, by as few stores as their alignment to `align` (1, 2, 4 or 8) permits.
    pub fn zero(&mut self, to: impl Into<Address>, bytes: u32, align: u32) {
        let to = to.into();
        self.check(to, bytes);
        let (mut done, widest) = (0, align.clamp(1, 8));
        for size in [Size::Double, Size::Word, Size::Half, Size::Byte] {
            let step = u32::from(size.bytes());
            while step <= widest && done + step <= bytes {
                self.stmt(Stmt::Store {
                    size,
                    release: false,
                    to: to.at(done as i32),
                    src: 0.into(),
                });
                done += step;
            }
        }
    }

    /// Adds an atomic operation without a result. [`Add`](AtomicBinary::Add) is in every version of the instruction
    /// set, the others are in v3 (Linux 5.12).
    pub fn atomic(
        &mut self,
        size: AtomicSize,
        op: AtomicBinary,
        to: impl Into<Address>,
        src: impl Into<Operand>,
    ) {
        let to = to.into();
        self.check(to, atomic_bytes(size));
        self.stmt(Stmt::Atomic { size, op, to, src: src.into() });
    }

    /// Adds and the like, atomically, and returns the value before. v3 (Linux 5.12)
    pub fn atomic_fetch(
        &mut self,
        size: AtomicSize,
        op: AtomicBinary,
        to: impl Into<Address>,
        src: impl Into<Operand>,
    ) -> Var {
        let op = match op {
            AtomicBinary::Add => AtomicOp::FetchAdd,
            AtomicBinary::Or => AtomicOp::FetchOr,
            AtomicBinary::And => AtomicOp::FetchAnd,
            AtomicBinary::Xor => AtomicOp::FetchXor,
        };
        self.fetch(size, op, to.into(), src.into())
    }

    /// Stores a value atomically and returns the value before. v3 (Linux 5.12)
    pub fn exchange(
        &mut self,
        size: AtomicSize,
        to: impl Into<Address>,
        src: impl Into<Operand>,
    ) -> Var {
        self.fetch(size, AtomicOp::Exchange, to.into(), src.into())
    }

    fn fetch(&mut self, size: AtomicSize, op: AtomicOp, to: Address, src: Operand) -> Var {
        self.check(to, atomic_bytes(size));
        let dst = self.new_var();
        self.stmt(Stmt::Fetch { size, op, to, src, dst });
        dst
    }

    /// Stores `new` if memory holds `expected`, atomically, and returns the value before. v3 (Linux 5.12)
    pub fn compare_exchange(
        &mut self,
        size: AtomicSize,
        to: impl Into<Address>,
        expected: impl Into<Operand>,
        new: impl Into<Operand>,
    ) -> Var {
        let (dst, to) = (self.new_var(), to.into());
        self.check(to, atomic_bytes(size));
        let (expected, new) = (expected.into(), new.into());
        self.stmt(Stmt::CompareExchange { size, to, expected, new, dst });
        dst
    }

    /// Records an access outside of an object.
    fn check(&mut self, place: Address, bytes: u32) {
        let Base::Object(object) = place.base else { return };
        let Some(size) = self.objects.get(object.0 as usize).map(|data| data.size) else { return };
        let end = i64::from(place.offset) + i64::from(bytes);
        if place.offset < 0 || end > size.into() {
            self.mistake(CodegenProblem::OutOfBounds { bytes, offset: place.offset, size });
        }
    }
}

/// # Calls
impl<'a> Function<'a> {
    /// Calls a helper of the kernel by its number, with up to five arguments, and returns its result.
    pub fn call_helper(&mut self, number: i32, args: &[Operand]) -> Var {
        self.call_target(Target::Helper(number), args)
    }

    /// Calls a kernel function by its name, with up to five arguments, and returns its result. Linux 5.13
    pub fn call_kfunc(&mut self, name: &'a str, args: &[Operand]) -> Var {
        self.call_target(Target::KfuncNamed(name), args)
    }

    /// Calls a kernel function by its BTF id; `fd_index` is that of [`Op::CallKfunc`](crate::insn::Op::CallKfunc).
    /// Linux 5.13
    pub fn call_kfunc_id(&mut self, btf_id: i32, fd_index: i16, args: &[Operand]) -> Var {
        self.call_target(Target::Kfunc { btf_id, fd_index }, args)
    }

    /// Calls a function of the unit and returns its result. Linux 4.16
    pub fn call(&mut self, function: FunctionId, args: &[Operand]) -> Var {
        self.call_target(Target::Local(function), args)
    }

    fn call_target(&mut self, target: Target<'a>, args: &[Operand]) -> Var {
        if args.len() > MAX_ARGS {
            let what = match target {
                Target::Helper(number) => format!("helper {number}"),
                Target::Kfunc { btf_id, .. } => format!("kernel function {btf_id}"),
                Target::KfuncNamed(name) => name.to_owned(),
                Target::Local(id) => format!("function {}", id.0),
            };
            self.argument_count(what, args.len());
        }
        let (dst, mut all, mut count) = (self.new_var(), [Operand::Imm(0); MAX_ARGS], 0);
        for (to, arg) in all.iter_mut().zip(args) {
            *to = *arg;
            count += 1;
        }
        self.stmt(Stmt::Call { target, args: all, count, dst });
        dst
    }
}

/// # Blocks
impl<'a> Function<'a> {
    /// Returns a new block without statements.
    pub fn block(&mut self) -> Block {
        let block = Block(self.blocks.len() as u32);
        self.blocks.push(BlockData::default());
        block
    }

    /// Makes this the block that statements are appended to. The block before jumps to it if it has no end yet. Blocks are
    /// laid out in the order in which they are first switched to.
    pub fn switch_to(&mut self, block: Block) {
        if !self.is_ended() && block != self.current {
            self.jump(block);
        }
        match self.blocks.get_mut(block.0 as usize) {
            Some(data) => {
                if !std::mem::replace(&mut data.placed, true) {
                    self.order.push(block);
                }
                self.current = block;
            }
            None => self.foreign_block(block),
        }
    }

    /// Returns the block that statements are appended to.
    pub fn current(&self) -> Block {
        self.current
    }

    /// Returns whether the current block has its end, so that what is appended is dropped.
    pub fn is_ended(&self) -> bool {
        self.blocks.get(self.current.0 as usize).is_none_or(|block| block.end.is_some())
    }

    /// Ends the block: goes on with another.
    pub fn jump(&mut self, to: Block) {
        self.end(End::Jump(to));
    }

    /// Ends the block: goes on with `then` if the condition holds, else with `other`.
    pub fn branch(
        &mut self,
        condition: Condition,
        a: impl Into<Operand>,
        b: impl Into<Operand>,
        then: Block,
        other: Block,
    ) {
        let (bits, a, b) = (Bits::B64, a.into(), b.into());
        self.end(End::Branch { bits, condition, a, b, then, other });
    }

    /// [`branch`](Function::branch) on the low halves.
    pub fn branch32(
        &mut self,
        condition: Condition,
        a: impl Into<Operand>,
        b: impl Into<Operand>,
        then: Block,
        other: Block,
    ) {
        let (bits, a, b) = (Bits::B32, a.into(), b.into());
        self.end(End::Branch { bits, condition, a, b, then, other });
    }

    /// Ends the block: goes on with `then` if the value is not 0, else with `other`.
    pub fn branch_if(&mut self, value: impl Into<Operand>, then: Block, other: Block) {
        self.branch(Condition::Ne, value, 0, then, other);
    }

    /// Ends the block: returns a value from the function, of the main function to the kernel.
    pub fn ret(&mut self, value: impl Into<Operand>) {
        self.end(End::Return(value.into()));
    }

    fn end(&mut self, end: End) {
        let foreign = end.targets().find(|to| to.0 as usize >= self.blocks.len());
        if let Some(block) = foreign {
            self.foreign_block(block);
        }
        let span = self.span;
        if let Some(block) = self.blocks.get_mut(self.current.0 as usize) {
            block.end.get_or_insert((end, span));
        }
    }

    fn foreign_block(&mut self, block: Block) {
        self.mistake(CodegenProblem::Foreign { what: "block", index: block.0, owner: "function" });
    }
}

pub(super) fn sign_bits(size: Size) -> Option<SignBits> {
    match size {
        Size::Byte => Some(SignBits::B8),
        Size::Half => Some(SignBits::B16),
        Size::Word => Some(SignBits::B32),
        Size::Double => None,
    }
}

pub(super) fn atomic_bytes(size: AtomicSize) -> u32 {
    match size {
        AtomicSize::Word => 4,
        AtomicSize::Double => 8,
    }
}
