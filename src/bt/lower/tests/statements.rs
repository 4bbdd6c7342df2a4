//! Random statements over maps beside an interpreter: what a run has read or put into memory must not be used where it is
//! something else by now.

use super::run::Script;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The keys, of one type. All but the variable are the same in a whole run.
const KEYS: [&str; 5] = ["(uint64)tid", "(uint64)7", "(uint64)arg0", "(uint64)pid", "(uint64)$k"];
const MAPS: [&str; 2] = ["@a", "@b"];

#[derive(Debug, Clone)]
enum Value {
    Number(i8),
    Variable,
    Element(usize, usize),
    /// `@m[k]++`, or `++@m[k]`
    Step(usize, usize, bool),
    Add(Box<Value>, Box<Value>),
    Choice(Box<Condition>, Box<Value>, Box<Value>),
}

#[derive(Debug, Clone)]
enum Condition {
    Less(Value, Value),
    /// `@m[k]`
    Element(usize, usize),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    HasKey(usize, usize),
}

#[derive(Debug, Clone)]
enum Statement {
    Set(usize, usize, Value),
    Add(usize, usize, Value),
    Step(usize, usize),
    Delete(usize, usize),
    Variable(Value),
    KeyVariable(u8),
    If(Condition, Vec<Statement>, Vec<Statement>),
    Unroll(u8, Vec<Statement>),
    /// `for ($i : 0..n)`, followed round by round
    For(u8, Vec<Statement>),
    Return,
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i8>().prop_map(Value::Number),
        Just(Value::Variable),
        (0..MAPS.len(), 0..KEYS.len()).prop_map(|(map, key)| Value::Element(map, key)),
        (0..MAPS.len(), 0..KEYS.len()).prop_map(|(map, key)| Value::Element(map, key)),
        (0..MAPS.len(), 0..KEYS.len(), any::<bool>())
            .prop_map(|(map, key, prefix)| Value::Step(map, key, prefix)),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        let condition =
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Condition::Less(left, right));
        prop_oneof![
            2 => (inner.clone(), inner.clone())
                .prop_map(|(left, right)| Value::Add(left.into(), right.into())),
            1 => (condition, inner.clone(), inner)
                .prop_map(|(of, then, other)| Value::Choice(of.into(), then.into(), other.into())),
        ]
    })
}

fn conditions() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        2 => (values(), values()).prop_map(|(left, right)| Condition::Less(left, right)),
        4 => (0..MAPS.len(), 0..KEYS.len()).prop_map(|(map, key)| Condition::Element(map, key)),
        1 => (0..MAPS.len(), 0..KEYS.len()).prop_map(|(map, key)| Condition::HasKey(map, key)),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|of| Condition::Not(of.into())),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Condition::And(a.into(), b.into())),
            (inner.clone(), inner).prop_map(|(a, b)| Condition::Or(a.into(), b.into())),
        ]
    })
}

fn statements() -> impl Strategy<Value = Vec<Statement>> {
    let place = || (0..MAPS.len(), 0..KEYS.len());
    let leaf = prop_oneof![
        4 => (place(), values()).prop_map(|((map, key), value)| Statement::Set(map, key, value)),
        2 => (place(), values()).prop_map(|((map, key), value)| Statement::Add(map, key, value)),
        2 => place().prop_map(|(map, key)| Statement::Step(map, key)),
        2 => place().prop_map(|(map, key)| Statement::Delete(map, key)),
        2 => values().prop_map(Statement::Variable),
        1 => (5..9_u8).prop_map(Statement::KeyVariable),
    ];
    let one = leaf.prop_recursive(3, 24, 4, |inner| {
        let list = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            3 => (conditions(), list(), list())
                .prop_map(|(of, then, other)| Statement::If(of, then, other)),
            1 => (conditions(), list()).prop_map(|(of, mut then)| {
                then.push(Statement::Return);
                Statement::If(of, then, Vec::new())
            }),
            1 => (1..3_u8, list()).prop_map(|(count, body)| Statement::Unroll(count, body)),
            1 => (1..4_u8, list()).prop_map(|(count, body)| Statement::For(count, body)),
        ]
    });
    prop::collection::vec(one, 1..7)
}

impl Value {
    fn text(&self) -> String {
        match self {
            Value::Number(value) => format!("(int64){value}"),
            Value::Variable => "$v".into(),
            Value::Element(map, key) => element(*map, *key),
            Value::Step(map, key, false) => format!("{}++", element(*map, *key)),
            Value::Step(map, key, true) => format!("++{}", element(*map, *key)),
            Value::Add(left, right) => format!("({} + {})", left.text(), right.text()),
            Value::Choice(of, then, other) => {
                format!("({} ? {} : {})", of.text(), then.text(), other.text())
            }
        }
    }
}

impl Condition {
    fn text(&self) -> String {
        match self {
            Condition::Less(left, right) => format!("({} < {})", left.text(), right.text()),
            Condition::Element(map, key) => element(*map, *key),
            Condition::Not(of) => format!("!({})", of.text()),
            Condition::And(left, right) => format!("({} && {})", left.text(), right.text()),
            Condition::Or(left, right) => format!("({} || {})", left.text(), right.text()),
            Condition::HasKey(map, key) => format!("has_key({}, {})", MAPS[*map], KEYS[*key]),
        }
    }
}

fn element(map: usize, key: usize) -> String {
    format!("{}[{}]", MAPS[map], KEYS[key])
}

fn text(all: &[Statement], loops: &mut u32) -> String {
    let mut out = String::new();
    for one in all {
        let _ = match one {
            Statement::Set(map, key, value) => {
                write!(out, "{} = {}; ", element(*map, *key), value.text())
            }
            Statement::Add(map, key, value) => {
                write!(out, "{} += {}; ", element(*map, *key), value.text())
            }
            Statement::Step(map, key) => write!(out, "{}++; ", element(*map, *key)),
            Statement::Delete(map, key) => write!(out, "delete({}, {}); ", MAPS[*map], KEYS[*key]),
            Statement::Variable(value) => write!(out, "$v = {}; ", value.text()),
            Statement::KeyVariable(value) => write!(out, "$k = (int64){value}; "),
            Statement::If(of, then, other) => {
                let (then, other) = (text(then, loops), text(other, loops));
                write!(out, "if ({}) {{ {then}}} else {{ {other}}} ", of.text())
            }
            Statement::Unroll(count, body) => {
                write!(out, "unroll({count}) {{ {}}} ", text(body, loops))
            }
            Statement::For(count, body) => {
                *loops += 1;
                let number = *loops;
                write!(out, "for ($i{number} : 0..{count}) {{ {}}} ", text(body, loops))
            }
            Statement::Return => write!(out, "return; "),
        };
    }
    out
}

/// The maps, and the variables of a run.
#[derive(Debug, Default)]
struct Machine {
    maps: [BTreeMap<u64, i64>; 2],
    ids: [u64; 4],
    value: i64,
    key: i64,
}

impl Machine {
    fn key(&self, key: usize) -> u64 {
        self.ids.get(key).copied().unwrap_or(self.key.cast_unsigned())
    }

    fn read(&self, map: usize, key: usize) -> i64 {
        self.maps[map].get(&self.key(key)).copied().unwrap_or(0)
    }

    fn add(&mut self, map: usize, key: usize, value: i64) -> i64 {
        let element = self.maps[map].entry(self.key(key)).or_insert(0);
        *element = element.wrapping_add(value);
        *element
    }

    fn value(&mut self, of: &Value) -> i64 {
        match of {
            Value::Number(value) => (*value).into(),
            Value::Variable => self.value,
            Value::Element(map, key) => self.read(*map, *key),
            Value::Step(map, key, prefix) => {
                self.add(*map, *key, 1).wrapping_sub(i64::from(!prefix))
            }
            Value::Add(left, right) => {
                let left = self.value(left);
                left.wrapping_add(self.value(right))
            }
            Value::Choice(of, then, other) => match self.holds(of) {
                true => self.value(then),
                false => self.value(other),
            },
        }
    }

    fn holds(&mut self, of: &Condition) -> bool {
        match of {
            Condition::Less(left, right) => {
                let left = self.value(left);
                left < self.value(right)
            }
            Condition::Element(map, key) => self.read(*map, *key) != 0,
            Condition::Not(of) => !self.holds(of),
            Condition::And(left, right) => self.holds(left) && self.holds(right),
            Condition::Or(left, right) => self.holds(left) || self.holds(right),
            Condition::HasKey(map, key) => self.maps[*map].contains_key(&self.key(*key)),
        }
    }

    /// Returns whether the run goes on.
    fn run(&mut self, all: &[Statement]) -> bool {
        all.iter().all(|one| self.statement(one))
    }

    fn statement(&mut self, one: &Statement) -> bool {
        match one {
            Statement::Set(map, key, value) => {
                let key = self.key(*key);
                let value = self.value(value);
                self.maps[*map].insert(key, value);
            }
            Statement::Add(map, key, value) => {
                let value = self.value(value);
                self.add(*map, *key, value);
            }
            Statement::Step(map, key) => {
                self.add(*map, *key, 1);
            }
            Statement::Delete(map, key) => {
                let key = self.key(*key);
                self.maps[*map].remove(&key);
            }
            Statement::Variable(value) => self.value = self.value(value),
            Statement::KeyVariable(value) => self.key = (*value).into(),
            Statement::If(of, then, other) => {
                return match self.holds(of) {
                    true => self.run(then),
                    false => self.run(other),
                };
            }
            Statement::Unroll(count, body) | Statement::For(count, body) => {
                return (0..*count).all(|_| self.run(body));
            }
            Statement::Return => return false,
        }
        true
    }

    fn text(&self) -> String {
        let mut all: Vec<_> = MAPS
            .iter()
            .zip(&self.maps)
            .flat_map(|(name, map)| {
                map.iter().map(move |(key, value)| format!("{name}[{key}]={value}"))
            })
            .collect();
        all.sort();
        all.join(" ")
    }
}

/// A quarter of what the environment asks for: each case loads programs.
fn config() -> ProptestConfig {
    let all = ProptestConfig::default();
    ProptestConfig { cases: all.cases / 4, ..all }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn statements_over_maps_do_what_they_say(
        predicate in prop::option::of(conditions()),
        body in statements(),
        argument in 5..9_u64,
    ) {
        let first = "BEGIN { @a[(uint64)7] = (int64)1; @b[(uint64)tid] = (int64)2; }";
        let guard = predicate.as_ref().map_or(String::new(), |of| {
            // A predicate has no variables.
            format!("/{}/ ", of.text().replace("$v", "(int64)3").replace("$k", "8"))
        });
        let source = format!(
            "{first} rawtracepoint:sched_switch {guard}{{ $v = (int64)0; $k = (int64)8; {}}}",
            text(&body, &mut 0)
        );
        let mut script = Script::new(&source);
        script.arguments[0] = argument;
        script.times = 2;
        let tid = nix::unistd::gettid().as_raw() as u64;
        let ids = [tid, 7, argument, u64::from(std::process::id())];
        let mut machine = Machine { ids, ..Machine::default() };
        for _ in 0..2 {
            machine.maps[0].insert(7, 1);
            machine.maps[1].insert(tid, 2);
        }
        for _ in 0..2 {
            (machine.value, machine.key) = (3, 8);
            let runs = match &predicate {
                Some(of) => machine.holds(of),
                None => true,
            };
            machine.value = 0;
            if runs {
                machine.run(&body);
            }
        }
        let text = machine.text();
        prop_assert_eq!(script.run().maps(), text, "{}", source);
    }
}
