//! Arguments of USDT probes. What is expected is what the program is given.

use super::run::{Script, show};
use crate::attach::{self, Options, Target};
use crate::bt::plan::Feature;
use crate::features::Features;
use crate::program::Loader;
use crate::requires::{self, Thing, needs};
use crate::spec::ProgramSpec;
use crate::user::dwarf::tests::{Compiled, no_compiler};
use std::path::Path;
use std::process::Command;

/// Probes as `sys/sdt.h` makes them: an instruction that does nothing, and a note about it. `twice` has two places, with its
/// argument in different ones.
const SOURCE: &str = r#"
#define PROBE(name, arguments, ...) __asm__ volatile ("990: nop\n.pushsection .note.stapsdt, \"\", \"note\"\n.balign 4\n" \
    ".4byte 992f - 991f, 994f - 993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n993: .8byte 990b, 0, 0\n" \
    ".asciz \"ours\"\n.asciz \"" name "\"\n.asciz \"" arguments "\"\n994: .balign 4\n.popsection" : : __VA_ARGS__)
volatile long seven = 7;
int global = -6;
__attribute__((noinline)) static void many(int small, unsigned char byte, long wide)
{
    volatile short behind = -300;
    PROBE("many", "-4@%0 1@%1 8@%2 -8@%3 -2@%4 -4@%5",
          "r"(small), "r"((int)byte), "r"(wide), "i"(-5000000000), "m"(behind), "r"(global));
}
int main(void)
{
    many(-5, 200, 1L << 40);
    long first = seven + 1;
    PROBE("twice", "8@%0", "r"(first));
    PROBE("twice", "8@%0", "i"(999));
    __asm__ volatile ("" : : "r"(first));
    return 0;
}
"#;

/// The elements of `@` after the program has run beside the script.
fn run(path: &Path, name: &str, body: &str, without: &[Feature]) -> Vec<String> {
    let file = path.display();
    let text = format!("usdt:{file}:ours:{name} {{ {body} }}");
    let mut script = Script::new(&text);
    script.without.extend(without);
    let kernel = Features::new();
    let run = script.with(&kernel, |program, maps, plan| {
        let mut loader = Loader::new();
        let [one] = plan.programs.as_slice() else { panic!("{}", plan.programs.len()) };
        let spec = ProgramSpec::new(&one.name, one.kind, one.code.code_with_fields());
        let loaded = loader.load(&spec).unwrap();
        let target: Target = format!("usdt:{file}:ours:{name}").parse().unwrap();
        let _link = attach::attach_traced(&loaded, &target, &Options::new()).unwrap();
        assert!(Command::new(path).status().unwrap().success());
        let user = &maps.user[0];
        let map = loader.map(&user.spec).unwrap();
        let mut elements: Vec<_> = map
            .iter()
            .map(|entry| {
                let (key, value) = entry.unwrap();
                let key = show(user.map.key.as_ref().unwrap(), &key, program);
                format!("{key}={}", show(&user.map.value, &value, program))
            })
            .collect();
        elements.sort();
        elements
    });
    run.unwrap()
}

#[test]
fn arguments_are_wherever_the_notes_say() {
    needs!(Bpf, Uprobe);
    if let Some(why) = no_compiler("gcc") {
        fn here() {}
        return requires::skip("gcc", &why, here);
    }
    let compiled = Compiled::new();
    for level in ["-O0", "-O2"] {
        let path = compiled.build("probes.c", SOURCE, &[level, "-w"]);
        let body = "@[(int64)arg0, arg1, arg2, (int64)arg3, (int64)arg4, (int64)arg5] = 1";
        let expected = format!("(-5,200,{},-5000000000,-300,-6)=1", 1_u64 << 40);
        assert_eq!(run(&path, "many", body, &[]), [expected], "{level}");
        // With a cookie, and by the address where there is none.
        for without in [&[][..], &[Feature::Cookie]] {
            let found = run(&path, "twice", "@[arg0] = 1", without);
            assert_eq!(found, ["8=1", "999=1"], "{level} {without:?}");
        }
    }
}
