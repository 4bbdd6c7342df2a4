//! Random arithmetic beside Rust's.

use super::run::Script;
use proptest::prelude::*;

/// An expression over three `int64` variables.
#[derive(Debug, Clone)]
enum Tree {
    Variable(usize),
    Constant(i16),
    Binary(&'static str, Box<Tree>, Box<Tree>),
    /// `a op b ? c : d`
    Choice(&'static str, Box<[Tree; 4]>),
}

const OPERATORS: [&str; 10] = ["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"];
const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

fn trees() -> impl Strategy<Value = Tree> {
    let leaf =
        prop_oneof![(0..3_usize).prop_map(Tree::Variable), (1..1000_i16).prop_map(Tree::Constant),];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let binary = (0..OPERATORS.len(), inner.clone(), inner.clone())
            .prop_map(|(op, a, b)| Tree::Binary(OPERATORS[op], Box::new(a), Box::new(b)));
        let choice = (0..COMPARISONS.len(), [inner.clone(), inner.clone(), inner.clone(), inner])
            .prop_map(|(op, parts)| Tree::Choice(COMPARISONS[op], Box::new(parts)));
        prop_oneof![3 => binary, 1 => choice]
    })
}

impl Tree {
    fn text(&self) -> String {
        match self {
            Tree::Variable(index) => format!("$v{index}"),
            // Of type int64, and not folded with others.
            Tree::Constant(value) => format!("($one * {value})"),
            Tree::Binary(op, a, b) => format!("({} {op} {})", a.text(), b.text()),
            Tree::Choice(op, parts) => {
                let [a, b, c, d] = &**parts;
                format!("({} {op} {} ? {} : {})", a.text(), b.text(), c.text(), d.text())
            }
        }
    }

    fn value(&self, variables: &[i64; 3]) -> i64 {
        match self {
            Tree::Variable(index) => variables[*index],
            Tree::Constant(value) => (*value).into(),
            Tree::Binary(op, a, b) => {
                let (a, b) = (a.value(variables), b.value(variables));
                match *op {
                    "+" => a.wrapping_add(b),
                    "-" => a.wrapping_sub(b),
                    "*" => a.wrapping_mul(b),
                    "/" | "%" if b == 0 => 1,
                    "/" => a.wrapping_div(b),
                    "%" => a.wrapping_rem(b),
                    "&" => a & b,
                    "|" => a | b,
                    "^" => a ^ b,
                    "<<" => a << (b & 63),
                    _ => a >> (b & 63),
                }
            }
            Tree::Choice(op, parts) => {
                let [a, b, c, d] = &**parts;
                let (a, b) = (a.value(variables), b.value(variables));
                let holds = match *op {
                    "==" => a == b,
                    "!=" => a != b,
                    "<" => a < b,
                    "<=" => a <= b,
                    ">" => a > b,
                    _ => a >= b,
                };
                if holds { c.value(variables) } else { d.value(variables) }
            }
        }
    }
}

fn numbers() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -10..10_i64, Just(i64::MIN), Just(i64::MAX)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn arithmetic_is_that_of_64_bits(tree in trees(), variables in [numbers(), numbers(), numbers()]) {
        let text = format!(
            "rawtracepoint:sched_switch {{ $v0 = (int64)arg0; $v1 = (int64)arg1; $v2 = (int64)arg2; $one = (int64)arg3; @ = (int64)({}) }}",
            tree.text()
        );
        let mut script = Script::new(&text);
        for (argument, value) in script.arguments.iter_mut().zip(variables) {
            *argument = value.cast_unsigned();
        }
        script.arguments[3] = 1;
        prop_assert_eq!(script.run().maps(), format!("@={}", tree.value(&variables)), "{}", text);
    }
}
