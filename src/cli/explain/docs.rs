//! The table of instructions in `docs/assembly.md`, which has to be what the instruction table gives.

use super::meaning::meaning;
use super::slots;
use crate::insn::table::{Form, Group, Row, TABLE};
use crate::insn::{ByteOrder, Op};
use crate::requires::{Thing, needs};
use std::fmt::Write;
use std::path::Path;

const BEGIN: &str =
    "<!-- Made of the instruction table: UPDATE_DOCS=1 cargo test --lib explain -->\n";
const END: &str = "<!-- End of what is made of it. -->\n";

/// A value that both forms have, or one for each.
fn of_both(row: &Row, value: impl Fn(&Form) -> Option<String>) -> String {
    let show = |form| value(form).unwrap_or_else(|| "–".into());
    let (wide, narrow) = (show(&row.wide), show(&row.narrow));
    if wide == narrow { wide } else { format!("{wide}, {narrow}") }
}

fn lines() -> String {
    let mut out = String::from(
        "\n| instruction | meaning | ISA | Linux | RFC 9669 | group |\n|---|---|---|---|---|---|\n",
    );
    for row in TABLE {
        let slots = slots(row.spelling, ByteOrder::NATIVE).ok().unwrap();
        let says = meaning(Op::decode(&slots).unwrap()).says;
        let isa = of_both(row, |form| form.isa.map(|isa| format!("v{isa}")));
        let linux = of_both(row, |form| form.linux.map(|linux| linux.to_string()));
        let group = of_both(row, |form| form.group.map(|group| Group::name(group).to_string()));
        let rfc = row.rfc.unwrap_or("–");
        let escaped = |text: &str| text.replace('|', "\\|");
        writeln!(
            out,
            "| `{}` | {} | {isa} | {linux} | {rfc} | {group} |",
            escaped(row.spelling),
            // The text of code is not read as Markdown.
            escaped(&says).replace('*', "\\*").replace('<', "\\<"),
        )
        .unwrap();
    }
    out + "\n"
}

#[test]
fn the_docs_have_the_instruction_table() {
    // The files are where it was built.
    needs!(Cargo);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/assembly.md");
    let docs = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = docs.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let expected = lines();
    if table != expected && std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(table, expected, "UPDATE_DOCS=1 cargo test --lib explain writes it anew");
}
