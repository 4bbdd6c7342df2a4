//! Random virtual code, what it computes by RFC 9669 as done here in Rust, and the same through the compiler.

use proptest::prelude::*;
use rawbpf::codegen::{
    AtomicBinary, Binary, CodegenError, Compiled, Function, FunctionId, Object, Operand, Options,
    Unit, Var,
};
use rawbpf::insn::{AtomicSize, Bits, Condition, Size, Swap, SwapBits};
use rawbpf::{MapSpec, ProgramSpec, ProgramType};

/// An operand: a variable by its number, modulo how many there are, or a constant.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    Var(u8),
    Imm(i64),
}

/// Something that the program does.
#[derive(Debug, Clone)]
pub enum Step {
    Binary {
        bits: Bits,
        op: Binary,
        dst: u8,
        a: Source,
        b: Source,
    },
    Assign {
        dst: u8,
        src: Source,
    },
    SignExtend {
        size: Size,
        dst: u8,
        src: Source,
    },
    ZeroExtend {
        size: Size,
        dst: u8,
        src: Source,
    },
    Swap {
        swap: Swap,
        bits: SwapBits,
        dst: u8,
        src: Source,
    },
    Compare {
        bits: Bits,
        condition: Condition,
        dst: u8,
        a: Source,
        b: Source,
    },
    Load {
        signed: bool,
        size: Size,
        dst: u8,
        object: u8,
        at: u16,
    },
    Store {
        by_pointer: bool,
        size: Size,
        object: u8,
        at: u16,
        src: Source,
    },
    Atomic {
        word: bool,
        op: AtomicBinary,
        object: u8,
        at: u16,
        src: Source,
    },
    /// With the old value as the result.
    Fetch {
        word: bool,
        op: AtomicBinary,
        dst: u8,
        object: u8,
        at: u16,
        src: Source,
    },
    Exchange {
        word: bool,
        dst: u8,
        object: u8,
        at: u16,
        src: Source,
    },
    CompareExchange {
        word: bool,
        dst: u8,
        object: u8,
        at: u16,
        expected: Source,
        new: Source,
    },
    /// A helper whose result is of no interest, which loses r0 to r5.
    Helper,
    /// A function of the program that mixes its arguments.
    Call {
        dst: u8,
        args: Vec<Source>,
    },
    If {
        bits: Bits,
        condition: Condition,
        a: Source,
        b: Source,
        then: Vec<Step>,
        other: Vec<Step>,
    },
    /// A branch on the result of a comparison.
    IfCompared {
        bits: Bits,
        condition: Condition,
        a: Source,
        b: Source,
        then: Vec<Step>,
    },
    /// Runs so often, with the round in a variable.
    Repeat {
        rounds: u8,
        index: u8,
        body: Vec<Step>,
    },
}

/// A random program: the values that it begins with, and its operations.
#[derive(Debug, Clone)]
pub struct Program {
    pub values: Vec<u64>,
    pub objects: Vec<u32>,
    pub steps: Vec<Step>,
}

const EDGES: &[u64] = &[
    0,
    1,
    2,
    31,
    63,
    64,
    0x80,
    0xff,
    0x8000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX - 1,
    u64::MAX,
];

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![prop::sample::select(EDGES), any::<u64>(), (0u64..100)]
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        3 => any::<u8>().prop_map(Source::Var),
        1 => value().prop_map(|value| Source::Imm(value as i64)),
        1 => any::<i8>().prop_map(|value| Source::Imm(value.into())),
    ]
}

fn bits() -> impl Strategy<Value = Bits> {
    prop::sample::select(&[Bits::B32, Bits::B64][..])
}

fn size() -> impl Strategy<Value = Size> {
    prop::sample::select(&[Size::Byte, Size::Half, Size::Word, Size::Double][..])
}

pub const CONDITIONS: &[Condition] = &[
    Condition::Eq,
    Condition::Ne,
    Condition::Gt,
    Condition::Ge,
    Condition::Lt,
    Condition::Le,
    Condition::SignedGt,
    Condition::SignedGe,
    Condition::SignedLt,
    Condition::SignedLe,
    Condition::Set,
];

fn condition() -> impl Strategy<Value = Condition> {
    prop::sample::select(CONDITIONS)
}

pub const BINARIES: &[Binary] = &[
    Binary::Add,
    Binary::Sub,
    Binary::Mul,
    Binary::Div,
    Binary::Mod,
    Binary::SignedDiv,
    Binary::SignedMod,
    Binary::And,
    Binary::Or,
    Binary::Xor,
    Binary::Lsh,
    Binary::Rsh,
    Binary::Arsh,
];

const ATOMICS: &[AtomicBinary] =
    &[AtomicBinary::Add, AtomicBinary::Or, AtomicBinary::And, AtomicBinary::Xor];

/// Steps without others in them; `fetch` says whether atomics with results are among them.
fn plain(fetch: bool) -> BoxedStrategy<Step> {
    let binary = prop::sample::select(BINARIES);
    let swap = prop::sample::select(&[Swap::Le, Swap::Be, Swap::Always][..]);
    let swap_bits = prop::sample::select(&[SwapBits::B16, SwapBits::B32, SwapBits::B64][..]);
    let atomic = prop::sample::select(ATOMICS);
    let always = prop_oneof![
        8 => (bits(), binary, any::<u8>(), source(), source())
            .prop_map(|(bits, op, dst, a, b)| Step::Binary { bits, op, dst, a, b }),
        2 => (any::<u8>(), source()).prop_map(|(dst, src)| Step::Assign { dst, src }),
        1 => (size(), any::<u8>(), source())
            .prop_map(|(size, dst, src)| Step::SignExtend { size, dst, src }),
        1 => (size(), any::<u8>(), source())
            .prop_map(|(size, dst, src)| Step::ZeroExtend { size, dst, src }),
        1 => (swap, swap_bits, any::<u8>(), source())
            .prop_map(|(swap, bits, dst, src)| Step::Swap { swap, bits, dst, src }),
        3 => (bits(), condition(), any::<u8>(), source(), source())
            .prop_map(|(bits, condition, dst, a, b)| Step::Compare { bits, condition, dst, a, b }),
        2 => (any::<bool>(), size(), any::<u8>(), any::<u8>(), any::<u16>())
            .prop_map(|(signed, size, dst, object, at)| Step::Load { signed, size, dst, object, at }),
        2 => (any::<bool>(), size(), any::<u8>(), any::<u16>(), source()).prop_map(
            |(by_pointer, size, object, at, src)| Step::Store { by_pointer, size, object, at, src }
        ),
        1 => (any::<bool>(), any::<u8>(), any::<u16>(), source()).prop_map(
            |(word, object, at, src)| Step::Atomic { word, op: AtomicBinary::Add, object, at, src }
        ),
        1 => Just(Step::Helper),
        1 => (any::<u8>(), prop::collection::vec(source(), 5))
            .prop_map(|(dst, args)| Step::Call { dst, args }),
    ];
    if !fetch {
        return always.boxed();
    }
    let place = (any::<bool>(), any::<u8>(), any::<u8>(), any::<u16>());
    prop_oneof![
        20 => always,
        1 => (any::<bool>(), atomic.clone(), any::<u8>(), any::<u16>(), source()).prop_map(
            |(word, op, object, at, src)| Step::Atomic { word, op, object, at, src }
        ),
        1 => (place, atomic, source()).prop_map(|((word, dst, object, at), op, src)| {
            Step::Fetch { word, op, dst, object, at, src }
        }),
        1 => (place, source()).prop_map(|((word, dst, object, at), src)| {
            Step::Exchange { word, dst, object, at, src }
        }),
        1 => (place, source(), source()).prop_map(|((word, dst, object, at), expected, new)| {
            Step::CompareExchange { word, dst, object, at, expected, new }
        }),
    ]
    .boxed()
}

fn steps(fetch: bool, most: usize) -> BoxedStrategy<Vec<Step>> {
    let step = plain(fetch).prop_recursive(2, 12, 4, |inner| {
        let some = prop::collection::vec(inner, 0..4);
        prop_oneof![
            (bits(), condition(), source(), source(), some.clone(), some.clone()).prop_map(
                |(bits, condition, a, b, then, other)| Step::If {
                    bits,
                    condition,
                    a,
                    b,
                    then,
                    other
                }
            ),
            (bits(), condition(), source(), source(), some.clone()).prop_map(
                |(bits, condition, a, b, then)| Step::IfCompared { bits, condition, a, b, then }
            ),
            (0u8..4, any::<u8>(), some).prop_map(|(rounds, index, body)| Step::Repeat {
                rounds,
                index,
                body
            }),
        ]
    });
    // Few branches: the verifier looks at each way through them.
    prop::collection::vec(prop_oneof![6 => plain(fetch), 1 => step], 1..most).boxed()
}

/// Programs of few variables, or of so many that most are not in registers; with objects that fit on the stack, or not.
pub fn program(fetch: bool) -> impl Strategy<Value = Program> {
    let values = prop_oneof![
        2 => prop::collection::vec(value(), 1..8),
        1 => prop::collection::vec(value(), 8..24),
        1 => prop::collection::vec(value(), 64..90),
    ];
    let objects = prop_oneof![
        2 => prop::collection::vec(8u32..40, 1..4),
        1 => prop::collection::vec(8u32..400, 1..6),
    ];
    (values, objects, steps(fetch, 40)).prop_map(|(values, objects, steps)| Program {
        values,
        objects,
        steps,
    })
}

// The expected result.

struct State {
    vars: Vec<u64>,
    objects: Vec<Vec<u8>>,
}

fn width(size: Size) -> usize {
    size.bytes().into()
}

fn atomic_size(word: bool) -> Size {
    if word { Size::Word } else { Size::Double }
}

/// The place of an access in an object, aligned to its size.
fn place(objects: &[u32], object: u8, at: u16, size: Size) -> (usize, usize) {
    let object = usize::from(object) % objects.len();
    let places = objects[object] as usize / width(size);
    (object, usize::from(at) % places * width(size))
}

fn low(size: Size, value: u64) -> u64 {
    value & (u64::MAX >> (64 - 8 * width(size)))
}

fn extended(size: Size, value: u64) -> u64 {
    let by = 64 - 8 * width(size) as u32;
    ((value << by) as i64 >> by) as u64
}

pub fn binary(bits: Bits, op: Binary, a: u64, b: u64) -> u64 {
    let wide = bits == Bits::B64;
    let (a, b) = if wide { (a, b) } else { (a & 0xffff_ffff, b & 0xffff_ffff) };
    let signed = |value: u64| if wide { value as i64 } else { i64::from(value as i32) };
    // The quotient of the least number and -1 needs a bit more.
    let (sa, sb) = (i128::from(signed(a)), i128::from(signed(b)));
    let count = (b & if wide { 63 } else { 31 }) as u32;
    let result = match op {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::Div => a.checked_div(b).unwrap_or(0),
        Binary::Mod => a.checked_rem(b).unwrap_or(a),
        Binary::SignedDiv => {
            if sb == 0 {
                0
            } else {
                (sa / sb) as u64
            }
        }
        Binary::SignedMod => {
            if sb == 0 {
                a
            } else {
                (sa % sb) as u64
            }
        }
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::Lsh => a << count,
        Binary::Rsh => a >> count,
        Binary::Arsh => (signed(a) >> count) as u64,
    };
    if wide { result } else { result & 0xffff_ffff }
}

pub fn holds(bits: Bits, condition: Condition, a: u64, b: u64) -> bool {
    let wide = bits == Bits::B64;
    let (a, b) = if wide { (a, b) } else { (a & 0xffff_ffff, b & 0xffff_ffff) };
    let signed = |value: u64| if wide { value as i64 } else { i64::from(value as i32) };
    match condition {
        Condition::Eq => a == b,
        Condition::Ne => a != b,
        Condition::Gt => a > b,
        Condition::Ge => a >= b,
        Condition::Lt => a < b,
        Condition::Le => a <= b,
        Condition::SignedGt => signed(a) > signed(b),
        Condition::SignedGe => signed(a) >= signed(b),
        Condition::SignedLt => signed(a) < signed(b),
        Condition::SignedLe => signed(a) <= signed(b),
        Condition::Set => a & b != 0,
    }
}

fn swapped(swap: Swap, bits: SwapBits, value: u64) -> u64 {
    let bytes = bits as usize / 8;
    let mut low = value.to_le_bytes();
    low[bytes..].fill(0);
    let reverse = match swap {
        Swap::Always => true,
        Swap::Be => cfg!(target_endian = "little"),
        Swap::Le => cfg!(target_endian = "big"),
    };
    if reverse {
        low[..bytes].reverse();
    }
    u64::from_le_bytes(low)
}

fn atomic(op: AtomicBinary, a: u64, b: u64) -> u64 {
    match op {
        AtomicBinary::Add => a.wrapping_add(b),
        AtomicBinary::Or => a | b,
        AtomicBinary::And => a & b,
        AtomicBinary::Xor => a ^ b,
    }
}

const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(hash: u64, value: u64) -> u64 {
    let hash = (hash ^ value).wrapping_mul(PRIME);
    hash ^ hash >> 29
}

impl State {
    fn get(&self, source: Source) -> u64 {
        match source {
            Source::Var(var) => self.vars[usize::from(var) % self.vars.len()],
            Source::Imm(value) => value as u64,
        }
    }

    fn set(&mut self, dst: u8, value: u64) {
        let count = self.vars.len();
        self.vars[usize::from(dst) % count] = value;
    }

    fn load(&self, size: Size, (object, at): (usize, usize)) -> u64 {
        let bytes = &self.objects[object][at..at + width(size)];
        match size {
            Size::Byte => bytes[0].into(),
            Size::Half => u16::from_ne_bytes(bytes.try_into().unwrap()).into(),
            Size::Word => u32::from_ne_bytes(bytes.try_into().unwrap()).into(),
            Size::Double => u64::from_ne_bytes(bytes.try_into().unwrap()),
        }
    }

    fn store(&mut self, size: Size, (object, at): (usize, usize), value: u64) {
        let bytes = &mut self.objects[object][at..at + width(size)];
        match size {
            Size::Byte => bytes[0] = value as u8,
            Size::Half => bytes.copy_from_slice(&(value as u16).to_ne_bytes()),
            Size::Word => bytes.copy_from_slice(&(value as u32).to_ne_bytes()),
            Size::Double => bytes.copy_from_slice(&value.to_ne_bytes()),
        }
    }

    fn run(&mut self, steps: &[Step], sizes: &[u32]) {
        for step in steps {
            match step {
                Step::Binary { bits, op, dst, a, b } => {
                    self.set(*dst, binary(*bits, *op, self.get(*a), self.get(*b)));
                }
                Step::Assign { dst, src } => self.set(*dst, self.get(*src)),
                Step::SignExtend { size, dst, src } => {
                    self.set(*dst, extended(*size, self.get(*src)));
                }
                Step::ZeroExtend { size, dst, src } => self.set(*dst, low(*size, self.get(*src))),
                Step::Swap { swap, bits, dst, src } => {
                    self.set(*dst, swapped(*swap, *bits, self.get(*src)));
                }
                Step::Compare { bits, condition, dst, a, b } => {
                    self.set(*dst, holds(*bits, *condition, self.get(*a), self.get(*b)).into());
                }
                Step::Load { signed, size, dst, object, at } => {
                    let value = self.load(*size, place(sizes, *object, *at, *size));
                    self.set(*dst, if *signed { extended(*size, value) } else { value });
                }
                Step::Store { size, object, at, src, .. } => {
                    self.store(*size, place(sizes, *object, *at, *size), self.get(*src));
                }
                Step::Atomic { word, op, object, at, src } => {
                    let size = atomic_size(*word);
                    let place = place(sizes, *object, *at, size);
                    let value = atomic(*op, self.load(size, place), self.get(*src));
                    self.store(size, place, value);
                }
                Step::Fetch { word, op, dst, object, at, src } => {
                    let size = atomic_size(*word);
                    let place = place(sizes, *object, *at, size);
                    let old = self.load(size, place);
                    self.store(size, place, atomic(*op, old, self.get(*src)));
                    self.set(*dst, old);
                }
                Step::Exchange { word, dst, object, at, src } => {
                    let size = atomic_size(*word);
                    let place = place(sizes, *object, *at, size);
                    let old = self.load(size, place);
                    self.store(size, place, self.get(*src));
                    self.set(*dst, old);
                }
                Step::CompareExchange { word, dst, object, at, expected, new } => {
                    let size = atomic_size(*word);
                    let place = place(sizes, *object, *at, size);
                    let old = self.load(size, place);
                    if old == low(size, self.get(*expected)) {
                        self.store(size, place, self.get(*new));
                    }
                    self.set(*dst, old);
                }
                Step::Helper => {}
                Step::Call { dst, args } => {
                    let hash = args.iter().fold(0, |hash, arg| mixed(hash, self.get(*arg)));
                    self.set(*dst, hash);
                }
                Step::If { bits, condition, a, b, then, other } => {
                    let taken = holds(*bits, *condition, self.get(*a), self.get(*b));
                    self.run(if taken { then } else { other }, sizes);
                }
                Step::IfCompared { bits, condition, a, b, then } => {
                    if holds(*bits, *condition, self.get(*a), self.get(*b)) {
                        self.run(then, sizes);
                    }
                }
                Step::Repeat { rounds, index, body } => {
                    for round in 0..*rounds {
                        self.set(*index, round.into());
                        self.run(body, sizes);
                    }
                }
            }
        }
    }
}

impl Program {
    /// The return value of the program.
    pub fn expected(&self) -> u32 {
        let objects = self.objects.iter().map(|size| vec![0; *size as usize]).collect();
        let mut state = State { vars: self.values.clone(), objects };
        state.run(&self.steps, &self.objects);
        let mut hash = state.vars.iter().fold(1, |hash, value| mixed(hash, *value));
        for (object, size) in self.objects.iter().enumerate() {
            for at in (0..*size as usize / 8).map(|word| word * 8) {
                hash = mixed(hash, state.load(Size::Double, (object, at)));
            }
        }
        (hash ^ hash >> 32) as u32
    }

    /// The values that it begins with, as bytes.
    pub fn cells(&self) -> Vec<u8> {
        self.values.iter().flat_map(|value| value.to_ne_bytes()).collect()
    }

    /// Compiles it. `cells` is a map with the values, `scratch` one of memory.
    pub fn compile<'a>(
        &self,
        cells: &'a MapSpec<'a>,
        scratch: &'a MapSpec<'a>,
        options: &Options,
    ) -> Result<Compiled<'a>, CodegenError> {
        let mut unit = Unit::new();
        let mixer = unit.add(mixer());
        let mut f = Function::new("main", 1);
        let base = f.map_value(scratch, 0);
        f.scratch(base, scratch.value_size);
        let start = f.map_value(cells, 0);
        let vars: Vec<Var> = (0..self.values.len())
            .map(|index| {
                // (The result of the load is another variable.)
                let var = f.var();
                let value = f.load(Size::Double, start.at(8 * index as i32));
                f.assign(var, value);
                f.number(value);
                f.number(var);
                var
            })
            .collect();
        let objects: Vec<Object> = self
            .objects
            .iter()
            .map(|size| {
                let object = f.object(*size, 8);
                f.zero(object, *size, 8);
                object
            })
            .collect();
        let mut build = Build { vars, objects, sizes: &self.objects, mixer };
        build.steps(&mut f, &self.steps);
        let hash = f.imm(1);
        let mut hash = hash;
        for var in &build.vars {
            hash = mix(&mut f, hash, *var);
        }
        for (object, size) in build.objects.iter().zip(&self.objects) {
            for word in 0..*size as i32 / 8 {
                let value = f.load(Size::Double, object.at(8 * word));
                hash = mix(&mut f, hash, value);
            }
        }
        let high = f.binary(Binary::Rsh, hash, 32);
        let result = f.xor(hash, high);
        f.ret(result);
        unit.compile(f, options)
    }
}

fn mix(f: &mut Function<'_>, hash: Var, value: Var) -> Var {
    let both = f.xor(hash, value);
    let product = f.mul(both, PRIME);
    let high = f.binary(Binary::Rsh, product, 29);
    f.xor(product, high)
}

/// The function that mixes five arguments.
fn mixer<'a>() -> Function<'a> {
    let mut f = Function::new("mixer", 5);
    let mut hash = f.imm(0);
    for index in 0..5 {
        if let Some(value) = f.parameter(index) {
            hash = mix(&mut f, hash, value);
        }
    }
    f.ret(hash);
    f
}

struct Build<'b> {
    vars: Vec<Var>,
    objects: Vec<Object>,
    sizes: &'b [u32],
    mixer: FunctionId,
}

impl Build<'_> {
    fn source(&self, source: Source) -> Operand {
        match source {
            Source::Var(var) => self.var(var).into(),
            Source::Imm(value) => value.into(),
        }
    }

    fn var(&self, var: u8) -> Var {
        self.vars[usize::from(var) % self.vars.len()]
    }

    fn place(&self, object: u8, at: u16, size: Size) -> rawbpf::codegen::Address {
        let (object, at) = place(self.sizes, object, at, size);
        self.objects[object].at(at as i32)
    }

    fn steps(&mut self, f: &mut Function<'_>, steps: &[Step]) {
        for step in steps {
            self.step(f, step);
        }
    }

    fn step(&mut self, f: &mut Function<'_>, step: &Step) {
        match step {
            Step::Binary { bits, op, dst, a, b } => {
                f.binary_to(self.var(*dst), *bits, *op, self.source(*a), self.source(*b));
            }
            Step::Assign { dst, src } => f.assign(self.var(*dst), self.source(*src)),
            Step::SignExtend { size, dst, src } => {
                let value = f.sign_extend(self.source(*src), *size);
                f.assign(self.var(*dst), value);
            }
            Step::ZeroExtend { size, dst, src } => {
                let value = f.zero_extend(self.source(*src), *size);
                f.assign(self.var(*dst), value);
            }
            Step::Swap { swap, bits, dst, src } => {
                let value = f.swap(*swap, *bits, self.source(*src));
                f.assign(self.var(*dst), value);
            }
            Step::Compare { bits, condition, dst, a, b } => {
                let value = self.compare(f, *bits, *condition, *a, *b);
                f.assign(self.var(*dst), value);
            }
            Step::Load { signed, size, dst, object, at } => {
                let place = self.place(*object, *at, *size);
                let value =
                    if *signed { f.load_signed(*size, place) } else { f.load(*size, place) };
                f.number(value);
                f.assign(self.var(*dst), value);
            }
            Step::Store { by_pointer, size, object, at, src } => {
                let place = self.place(*object, *at, *size);
                if *by_pointer {
                    let pointer = f.address(place);
                    f.store(*size, pointer, self.source(*src));
                } else {
                    f.store(*size, place, self.source(*src));
                }
            }
            Step::Atomic { word, op, object, at, src } => {
                let place = self.place(*object, *at, atomic_size(*word));
                f.atomic(atomic_bits(*word), *op, place, self.source(*src));
            }
            Step::Fetch { word, op, dst, object, at, src } => {
                let place = self.place(*object, *at, atomic_size(*word));
                let old = f.atomic_fetch(atomic_bits(*word), *op, place, self.source(*src));
                f.number(old);
                f.assign(self.var(*dst), old);
            }
            Step::Exchange { word, dst, object, at, src } => {
                let place = self.place(*object, *at, atomic_size(*word));
                let old = f.exchange(atomic_bits(*word), place, self.source(*src));
                f.number(old);
                f.assign(self.var(*dst), old);
            }
            Step::CompareExchange { word, dst, object, at, expected, new } => {
                let place = self.place(*object, *at, atomic_size(*word));
                let (expected, new) = (self.source(*expected), self.source(*new));
                let old = f.compare_exchange(atomic_bits(*word), place, expected, new);
                f.number(old);
                f.assign(self.var(*dst), old);
            }
            Step::Helper => {
                f.call_helper(5, &[]); // ktime_get_ns
            }
            Step::Call { dst, args } => {
                let args: Vec<_> = args.iter().map(|arg| self.source(*arg)).collect();
                let value = f.call(self.mixer, &args);
                f.number(value);
                f.assign(self.var(*dst), value);
            }
            Step::If { bits, condition, a, b, then, other } => {
                let (yes, no, after) = (f.block(), f.block(), f.block());
                let (a, b) = (self.source(*a), self.source(*b));
                match bits {
                    Bits::B64 => f.branch(*condition, a, b, yes, no),
                    Bits::B32 => f.branch32(*condition, a, b, yes, no),
                }
                f.switch_to(yes);
                self.steps(f, then);
                f.jump(after);
                f.switch_to(no);
                self.steps(f, other);
                f.switch_to(after);
            }
            Step::IfCompared { bits, condition, a, b, then } => {
                let value = self.compare(f, *bits, *condition, *a, *b);
                let (yes, after) = (f.block(), f.block());
                f.branch_if(value, yes, after);
                f.switch_to(yes);
                self.steps(f, then);
                f.switch_to(after);
            }
            Step::Repeat { rounds, index, body } => {
                f.repeat(i64::from(*rounds), 16, |f, round, _| {
                    f.assign(self.var(*index), round);
                    self.steps(f, body);
                });
            }
        }
    }

    fn compare(
        &self,
        f: &mut Function<'_>,
        bits: Bits,
        condition: Condition,
        a: Source,
        b: Source,
    ) -> Var {
        let (a, b) = (self.source(a), self.source(b));
        match bits {
            Bits::B64 => f.compare(condition, a, b),
            Bits::B32 => f.compare32(condition, a, b),
        }
    }
}

fn atomic_bits(word: bool) -> AtomicSize {
    if word { AtomicSize::Word } else { AtomicSize::Double }
}

/// A spec for the compiled program.
pub fn spec<'c>(compiled: &'c Compiled<'_>) -> ProgramSpec<'c, 'c> {
    ProgramSpec::new("random", ProgramType::SocketFilter, compiled.code())
}
