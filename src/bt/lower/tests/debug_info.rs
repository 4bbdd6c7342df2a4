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
    let text = format!("uprobe:{}:function {{ {body} }}", path.display());
    let source = Source::new("stdin", &text);
    let (script, diagnostics) = parser::parse(&source, &parser::Given::default());
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render(&source));
    let machine = Machine::default();
    let (program, _) = check::check(&source, &script, Config::default(), &machine);
    let Some(program) = program else { return false };
    let has = |feature| ALL.contains(&feature);
    let target = target(&has);
    MapPlan::new(&program, &target).is_ok_and(|maps| lower(&program, &maps, &target).is_ok())
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
