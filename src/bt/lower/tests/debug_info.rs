//! Scripts for programs whose debug information is damaged.

use super::run::{ALL, target};
use crate::bt::config::Config;
use crate::bt::expand::Machine;
use crate::bt::lower::lower;
use crate::bt::plan::MapPlan;
use crate::bt::source::Source;
use crate::bt::{check, parser};
use crate::requires;
use crate::user::dwarf::tests::{Compiled, SOURCE, damage, no_compiler};
use std::cell::Cell;
use std::path::Path;

/// Compiles a script for a file down to instructions; whether that was possible.
fn compiles(path: &Path, body: &str) -> bool {
    compiles_script(&format!("uprobe:{}:function {{ {body} }}", path.display()))
}

fn compiles_script(text: &str) -> bool {
    let source = Source::new("stdin", text);
    let (script, diagnostics) = parser::parse(&source, &parser::Given::default());
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render(&source));
    let machine = Machine::default();
    let (program, _) = check::check(&source, &script, Config::default(), &machine);
    let Some(program) = program else { return false };
    let has = |feature| ALL.contains(&feature);
    let target = target(&has);
    MapPlan::new(&program, &target).is_ok_and(|maps| lower(&program, &maps, &target).is_ok())
}

/// Each unit has a copy of what it includes; others have types of the same name that differ.
#[test]
fn types_of_several_units_are_one_if_they_are_the_same() {
    if let Some(why) = no_compiler("gcc") {
        fn here() {}
        return requires::skip("gcc", &why, here);
    }
    let shared = "enum mood { CALM, MERRY = 5 }; struct shared { struct shared *next; enum mood mood; int list[3]; };";
    let one = format!(
        "{shared} struct late; struct differs {{ int a, b; }}; struct alike {{ int a; }};
         int one(struct shared *s, struct late *l, struct differs *d, enum mood m, struct alike *k) {{ return 0; }}
         int main(void) {{ return 0; }}"
    );
    let other = format!(
        "{shared} struct late {{ long number; }}; struct differs {{ long a; }}; struct alike {{ float a; }};
         int other(struct shared *s, struct late *l, struct differs *d, enum mood m, struct alike *k) {{ return 0; }}"
    );
    let compiled = Compiled::new();
    for way in [&["-g"][..], &["-g", "-fdebug-types-section"]] {
        let object = compiled.build("other.c", &other, &[way, &["-w", "-c"]].concat());
        std::fs::rename(&object, object.with_file_name("other.o")).unwrap();
        let path = compiled.build("one.c", &one, &[way, &["-w", "other.o"]].concat());
        let path = path.display();
        for (of, same) in [
            ("*args.s", true),
            ("*args.d", false),
            ("args.m", true),
            ("*args.k", false),
            ("args.l", true),
        ] {
            for (first, second) in [("one", "other"), ("other", "one")] {
                let script = format!(
                    "uprobe:{path}:{first} {{ @ = {of}; }} uprobe:{path}:{second} {{ @ = {of}; }}"
                );
                assert_eq!(compiles_script(&script), same, "{way:?} {of} {first}");
            }
        }
        // What is only declared where it is used is that of the other unit.
        let script = format!(
            "uprobe:{path}:one {{ print(args.l->number); }} uprobe:{path}:other {{ @ = args.l; print(@->number); }}"
        );
        assert!(compiles_script(&script), "{way:?}");
    }
}

#[test]
fn damaged_debug_information_does_no_harm_to_scripts() {
    if let Some(why) = no_compiler("gcc") {
        fn here() {}
        return requires::skip("gcc", &why, here);
    }
    let compiled = Compiled::new();
    let path = compiled.build("types.c", SOURCE, &["-g", "-O0"]);
    let bodies = [
        "print(*args.o); print(args.o->where); @ = *args.o;",
        "print((args.o->low, args.o->high, args.o->wide, args.o->color, args.o->left, args.c)); print(args.o->grid[1][2]);",
        "$o = (struct outer *)arg0; print($o->next->next->name); print(sizeof(struct outer)); print(args.behind[1]);",
    ];
    for body in bodies {
        assert!(compiles(&path, body), "{body}");
    }
    let good = Cell::new(0);
    damage(&path, 150, |damaged| {
        for body in bodies {
            good.set(good.get() + usize::from(compiles(damaged, body)));
        }
    });
    // Most of what is changed are names, and the debug information of other things.
    assert!(good.get() > 100, "{}", good.get());
}
