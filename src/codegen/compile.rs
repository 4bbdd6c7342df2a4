//! The compiler: from functions to instructions.

use super::allocate::{Class, Outcome, allocate, drop_replaced, flow};
use super::emit::{Placed, emit};
use super::error::{CodegenError, CodegenProblem};
use super::frame::{Frame, GRANULE, Memory, layout, memory_ranges, move_objects};
use super::function::{Function, Scratch};
use super::ir::{Arg, FunctionId, Inst, Object, Src, Symbol, Target, Var};
use super::lower::{Failure, lower};
use super::mir::Mir;
use super::simplify::{drop_unused, simplify};
use super::spill::{Apart, Home, State, constants, spill};
use super::unit::{Compiled, Isa, Options};
use crate::asm::{BuildOptions, Builder, Far};
use crate::insn::{AluOp, Bits, Reg, Size};

/// The kernel counts frames in these units (`check_max_stack_depth`).
const FRAME_UNIT: u32 = 32;

pub(super) fn compile<'a>(
    functions: Vec<Function<'a>>,
    main: Function<'a>,
    rodata: Vec<u8>,
    options: &Options,
) -> Result<Compiled<'a>, CodegenError> {
    // The main function is the last: it is never called.
    let mut functions = functions;
    functions.push(main);
    let used = used_functions(&functions);
    for (function, index) in functions.iter().zip(0..) {
        if used.contains(&index) {
            super::check::check(function, &functions[..index as usize])?;
        }
    }
    let mut bodies: Vec<Option<Body<'a>>> = Vec::new();
    for (function, index) in functions.iter().zip(0..) {
        let mut body = None;
        if used.contains(&index) {
            let mir = lower(function, options.isa).map_err(|failure| failed(function, failure))?;
            let mut made = Body::new(mir, function.scratch, options.in_memory);
            made.fit(function, options.stack).map_err(|failure| failed(function, failure))?;
            body = Some(made);
        }
        bodies.push(body);
    }
    fit_chains(&functions, &mut bodies, options.stack)?;
    finish(&functions, &bodies, &used, rodata, options)
}

fn failed(function: &Function<'_>, (problem, span): Failure) -> CodegenError {
    let span = span.map(|(start, end)| start..end);
    CodegenError { function: function.name.clone(), problem, span }
}

/// The functions that the last one calls, and those that they call; the last one first.
fn used_functions(functions: &[Function<'_>]) -> Vec<u32> {
    let Some(main) = functions.len().checked_sub(1) else { return Vec::new() };
    let mut used = vec![main as u32];
    let mut next = 0;
    while let Some(function) = used.get(next).and_then(|index| functions.get(*index as usize)) {
        for (stmt, _) in function.blocks.iter().flat_map(|block| &block.stmts) {
            if let Some(FunctionId(id)) = stmt.refers_to()
                && !used.contains(&id)
            {
                used.push(id);
            }
        }
        next += 1;
    }
    used
}

/// The function that an instruction calls or takes the address of.
fn refers_to(inst: &Inst<'_>, mut f: impl FnMut(FunctionId)) {
    match inst {
        Inst::Symbol { symbol: Symbol::Function(id), .. } => f(*id),
        Inst::Call { target, args, .. } => {
            if let Target::Local(id) = target {
                f(*id);
            }
            for arg in args.as_slice() {
                if let Arg::Symbol(Symbol::Function(id)) = arg {
                    f(*id);
                }
            }
        }
        _ => {}
    }
}

/// The state of one function in the compiler.
struct Body<'a> {
    /// The code as it was lowered.
    lowered: Mir<'a>,
    scratch: Option<Scratch>,
    in_memory: bool,
    /// The objects that are to lie in scratch memory, and the variables.
    moved: Vec<bool>,
    far: Vec<Var>,
    /// The code with registers.
    mir: Mir<'a>,
    registers: Vec<Option<Reg>>,
    frame: Frame,
}

/// The maximum number of rounds of register allocation. Each splits live ranges that were not split before; two or
/// three suffice for nearly all code. After this many everything is split, and then there are always enough registers.
const MOST_ROUNDS: usize = 12;

impl<'a> Body<'a> {
    fn new(mut lowered: Mir<'a>, scratch: Option<Scratch>, in_memory: bool) -> Body<'a> {
        let base = scratch.map(|scratch| scratch.base);
        simplify(&mut lowered, base);
        // Instructions that only computed removed values go next, as far as that is worth it.
        for _ in 0..2 {
            if drop_replaced(&mut lowered, base) {
                drop_unused(&mut lowered, base);
            }
        }
        let moved = vec![false; lowered.objects.len()];
        Body {
            mir: lowered.clone(),
            lowered,
            scratch,
            in_memory,
            moved,
            far: Vec::new(),
            registers: Vec::new(),
            frame: Frame::default(),
        }
    }

    /// The frame as the kernel counts it.
    fn frame_size(&self) -> u32 {
        self.frame.size.max(1).next_multiple_of(FRAME_UNIT)
    }

    /// Allocates registers, and moves to scratch memory what does not fit into a frame of that size.
    fn fit(&mut self, function: &Function<'a>, limit: u32) -> Result<(), Failure> {
        loop {
            let places = self.scratch_places()?;
            self.place(&places)?;
            if self.frame.size <= limit {
                return Ok(());
            }
            // Room for what this needs in addition.
            let limit = limit.saturating_sub(FRAME_UNIT);
            if !self.move_more(function, limit) {
                let bytes = self.frame.size;
                return Err((CodegenProblem::TooManyPointers { bytes, limit }, None));
            }
        }
    }

    /// Returns the offsets in scratch memory of the moved objects, behind the moved variables.
    fn scratch_places(&self) -> Result<Vec<Option<u32>>, Failure> {
        let mut places = vec![None; self.moved.len()];
        let far = self.far.len() as u32 * GRANULE;
        if far == 0 && !self.moved.contains(&true) {
            return Ok(places);
        }
        let flow = flow(&self.lowered);
        let (ranges, pinned) = memory_ranges(&self.lowered, &flow, 0);
        let mut memory = Memory::default();
        let mut order: Vec<u32> =
            (0..self.moved.len() as u32).filter(|object| self.moved[*object as usize]).collect();
        let size = |object: u32| self.lowered.objects.get(object as usize).map_or(0, |o| o.size);
        order.sort_by_key(|object| std::cmp::Reverse(size(*object)));
        for object in order {
            let always = [(0, u32::MAX)];
            let own = ranges.of(object);
            let segments = if pinned.get(object as usize) == Some(&true) { &always } else { own };
            let place = memory.place(size(object), segments, u32::MAX);
            if let Some(to) = places.get_mut(object as usize) {
                *to = place.map(|place| place.saturating_add(far));
            }
        }
        let bytes = memory.size().saturating_add(far);
        if self.scratch.is_none_or(|scratch| scratch.size < bytes) {
            return Err((CodegenProblem::ScratchNeeded { bytes }, None));
        }
        Ok(places)
    }

    /// Gives registers and lays out the frame.
    fn place(&mut self, places: &[Option<u32>]) -> Result<(), Failure> {
        let mut mir = self.lowered.clone();
        let mut state = State::new(mir.vars);
        if let Some(scratch) = self.scratch {
            move_objects(&mut mir, scratch.base, places);
            state = State::new(mir.vars);
            let mut flags = vec![false; mir.vars as usize];
            for (var, index) in self.far.iter().zip(0..) {
                state.set_home(*var, Home::Scratch(scratch.base, index * GRANULE as i32));
                if let Some(flag) = flags.get_mut(var.0 as usize) {
                    *flag = true;
                }
            }
            if !self.far.is_empty() {
                let flow = flow(&mir);
                let ranges = super::allocate::ranges(&mir, &flow);
                let apart = Apart { vars: &flags, ranges: &ranges, flow: &flow };
                spill(&mut mir, &mut state, &apart);
            }
            // It may be of no use after all.
            drop_unused(&mut mir, None);
        }
        for round in 0..MOST_ROUNDS + 3 {
            // First into pieces, then into moments.
            if round >= MOST_ROUNDS || self.in_memory && round == 0 {
                take_all_apart(&mut mir, &mut state);
                if self.in_memory {
                    take_all_apart(&mut mir, &mut state);
                }
            }
            let cheap = constants(&mir);
            let is_cheap = |var: u32| cheap.get(var as usize).is_some_and(Option::is_some);
            match allocate(&mir, &state.classes, is_cheap) {
                Outcome::Registers(registers) => {
                    let flow = flow(&mir);
                    self.frame = layout(&mir, &flow, state.slots, u32::MAX, |_| false);
                    (self.mir, self.registers) = (mir, registers);
                    return Ok(());
                }
                Outcome::Spill { vars, ranges, flow } => {
                    let apart = Apart { vars: &vars, ranges: &ranges, flow: &flow };
                    spill(&mut mir, &mut state, &apart);
                }
            }
        }
        // One instruction never needs more registers than there are.
        Err((CodegenProblem::NoRegisters, None))
    }

    /// Chooses more variables and objects to move to scratch memory. Returns whether there were any.
    fn move_more(&mut self, function: &Function<'a>, limit: u32) -> bool {
        let flow = flow(&self.mir);
        let (objects, vars) =
            self.scratch.map_or((0, 0), |scratch| (scratch.objects, scratch.vars));
        let moved = self.moved.clone();
        let is_movable =
            |object: Object| object.0 >= objects && moved.get(object.0 as usize) == Some(&false);
        let slots = self.frame.slots.len() as u32;
        let fitting = layout(&self.mir, &flow, slots, limit, is_movable);
        let (ranges, _) = memory_ranges(&self.mir, &flow, slots);
        let mut some = false;
        for index in 0..self.moved.len() {
            let alive = !ranges.of(index as u32).is_empty();
            let unplaced = fitting.objects.get(index) == Some(&None);
            if alive && unplaced && is_movable(Object(index as u32)) {
                self.moved[index] = true;
                some = true;
            }
        }
        if fitting.size <= limit && some {
            return true;
        }
        // Numbers are next.
        let excess = fitting.size.saturating_sub(limit).div_ceil(GRANULE) as usize;
        let far = far_candidates(&self.lowered, function, vars, &self.far, &self.registers);
        let before = self.far.len();
        self.far.extend(far.into_iter().take(excess.max(1)));
        some || self.far.len() > before
    }
}

/// Takes everything apart that still can be.
fn take_all_apart<'a>(mir: &mut Mir<'a>, state: &mut State<'a>) {
    let flow = flow(mir);
    let ranges = super::allocate::ranges(mir, &flow);
    let apart = state.classes.iter().zip(0..);
    let vars: Vec<bool> =
        apart.map(|(class, var)| *class != Class::Moment && !ranges.of(var).is_empty()).collect();
    spill(mir, state, &Apart { vars: &vars, ranges: &ranges, flow: &flow });
}

/// Numbers without a register that may lie in scratch memory, the least used first.
fn far_candidates(
    mir: &Mir<'_>,
    function: &Function<'_>,
    first: u32,
    far: &[Var],
    registers: &[Option<Reg>],
) -> Vec<Var> {
    let pointers = maybe_pointers(mir, function);
    let mut uses = vec![0u32; mir.vars as usize];
    for block in &mir.blocks {
        for (inst, _) in &block.insts {
            inst.for_uses(|var, _| {
                if let Some(count) = uses.get_mut(var.0 as usize) {
                    *count += 1;
                }
            });
        }
    }
    let base = function.scratch.map(|scratch| scratch.base);
    let mut taken = vec![false; mir.vars as usize];
    for var in far {
        if let Some(taken) = taken.get_mut(var.0 as usize) {
            *taken = true;
        }
    }
    let again = constants(mir);
    let mut candidates: Vec<Var> = (first..function.vars)
        .map(Var)
        .filter(|var| {
            let index = var.0 as usize;
            registers.get(index) == Some(&None)
                && uses.get(index).is_some_and(|uses| *uses > 0)
                && pointers.get(index) == Some(&false)
                && taken.get(index) == Some(&false)
                && again.get(index) == Some(&None)
                && base != Some(*var)
        })
        .collect();
    candidates.sort_by_key(|var| uses.get(var.0 as usize).copied());
    candidates
}

/// The variables that may hold pointers.
fn maybe_pointers(mir: &Mir<'_>, function: &Function<'_>) -> Vec<bool> {
    let mut numbers = vec![false; mir.vars as usize];
    for var in &function.numbers {
        if let Some(number) = numbers.get_mut(var.0 as usize) {
            *number = true;
        }
    }
    let mut pointers = vec![false; mir.vars as usize];
    loop {
        let mut changed = false;
        for (inst, _) in mir.blocks.iter().flat_map(|block| &block.insts) {
            let is = |var: Var| pointers.get(var.0 as usize) == Some(&true);
            let may = match inst {
                Inst::Symbol { .. }
                | Inst::Address { .. }
                | Inst::Parameter { .. }
                | Inst::Call { .. }
                | Inst::Fill { .. } => true,
                Inst::Load { size, .. } => *size == Size::Double,
                Inst::Mov { bits: Bits::B64, src, .. } => is(*src),
                Inst::Alu { bits: Bits::B64, op: AluOp::Add | AluOp::Sub, a, b, .. } => {
                    is(*a) || matches!(b, Src::Var(b) if is(*b))
                }
                _ => false,
            };
            if let Some(var) = inst.def()
                && may
                && numbers.get(var.0 as usize) == Some(&false)
                && let Some(pointer) = pointers.get_mut(var.0 as usize)
                && !std::mem::replace(pointer, true)
            {
                changed = true;
            }
        }
        if !changed {
            return pointers;
        }
    }
}

/// Makes the frames of each chain of calls fit on the stack together.
fn fit_chains<'a>(
    functions: &[Function<'a>],
    bodies: &mut [Option<Body<'a>>],
    stack: u32,
) -> Result<(), CodegenError> {
    loop {
        let (depth, chain) = deepest(bodies);
        if depth <= stack {
            return Ok(());
        }
        let excess = (depth - stack).next_multiple_of(FRAME_UNIT);
        // The largest frame shrinks, if there is a choice one that has scratch memory.
        let mut order = chain;
        order.sort_by_key(|index| {
            let body = bodies.get(*index).and_then(Option::as_ref);
            std::cmp::Reverse(body.map(|body| (body.scratch.is_some(), body.frame.size)))
        });
        let mut refused = None;
        let mut shrunk = false;
        for index in order {
            let (Some(function), Some(Some(body))) = (functions.get(index), bodies.get_mut(index))
            else {
                continue;
            };
            let size = body.frame_size();
            if size <= FRAME_UNIT {
                continue;
            }
            let limit = size.saturating_sub(excess).max(FRAME_UNIT);
            match body.fit(function, limit) {
                Ok(()) => shrunk = body.frame_size() < size,
                Err(failure) => {
                    refused.get_or_insert_with(|| failed(function, failure));
                }
            }
            if shrunk {
                break;
            }
        }
        match refused {
            _ if shrunk => {}
            Some(refused) => return Err(refused),
            None => {
                let problem = CodegenProblem::TooManyPointers { bytes: depth, limit: stack };
                let function = functions.last().map_or(String::new(), |main| main.name.clone());
                return Err(CodegenError { function, problem, span: None });
            }
        }
    }
}

/// The call chain with the largest total frame size.
fn deepest(bodies: &[Option<Body<'_>>]) -> (u32, Vec<usize>) {
    // Functions come before those that call them.
    let mut deepest: Vec<(u32, Option<usize>)> = Vec::new();
    for body in bodies {
        let Some(body) = body else {
            deepest.push((0, None));
            continue;
        };
        let mut below = (0, None);
        for (inst, _) in body.mir.blocks.iter().flat_map(|block| &block.insts) {
            refers_to(inst, |FunctionId(id)| {
                let depth = deepest.get(id as usize).map_or(0, |(depth, _)| *depth);
                if depth > below.0 {
                    below = (depth, Some(id as usize));
                }
            });
        }
        deepest.push((below.0 + body.frame_size(), below.1));
    }
    let depth = deepest.last().map_or(0, |(depth, _)| *depth);
    let mut chain = Vec::new();
    let mut next = deepest.len().checked_sub(1);
    while let Some(index) = next {
        chain.push(index);
        next = deepest.get(index).and_then(|(_, below)| *below);
    }
    (depth, chain)
}

fn finish<'a>(
    functions: &[Function<'a>],
    bodies: &[Option<Body<'a>>],
    used: &[u32],
    rodata: Vec<u8>,
    options: &Options,
) -> Result<Compiled<'a>, CodegenError> {
    let mut builder = Builder::new();
    let labels: Vec<_> =
        functions.iter().map(|function| builder.label_named(function.name.clone())).collect();
    let mut frames = Vec::new();
    let mut is_reached = vec![false; bodies.len()];
    if let Some(main) = is_reached.last_mut() {
        *main = true;
    }
    // Calls from unreachable code do not count.
    for (index, body) in bodies.iter().enumerate().rev() {
        let Some(body) = body.as_ref().filter(|_| is_reached.get(index) == Some(&true)) else {
            continue;
        };
        for (inst, _) in body.mir.blocks.iter().flat_map(|block| &block.insts) {
            refers_to(inst, |FunctionId(id)| {
                if let Some(reached) = is_reached.get_mut(id as usize) {
                    *reached = true;
                }
            });
        }
    }
    for index in used.iter().map(|index| *index as usize) {
        let (Some(function), Some(Some(body)), Some(label), Some(true)) =
            (functions.get(index), bodies.get(index), labels.get(index), is_reached.get(index))
        else {
            continue;
        };
        builder.bind(*label);
        let placed = Placed {
            mir: &body.mir,
            registers: &body.registers,
            frame: &body.frame,
            labels: &labels,
        };
        emit(&placed, &mut builder);
        frames.push((function.name.clone(), body.frame.size));
    }
    let far = if options.isa >= Isa::V4 { Far::Long } else { Far::Chain };
    let assembly = builder.finish(&BuildOptions::new().far(far)).map_err(|errors| {
        let function = functions.last().map_or(String::new(), |main| main.name.clone());
        CodegenError { function, problem: CodegenProblem::Resolve(errors), span: None }
    })?;
    Ok(Compiled { assembly, rodata, frames })
}
