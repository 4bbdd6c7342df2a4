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
    let shared = "enum mood { CALM, MERRY = 5 }; struct shared { struct shared *next; enum mood mood; int list[3]; }; \
                  struct late; struct opaque { struct late *late; struct { struct shared *(*pair)[2]; } in; int (*call)(void); };";
    let one = format!(
        "{shared} struct late; struct differs {{ int a, b; }}; struct alike {{ int a; }};
         struct points {{ struct differs *far; }}; struct holds {{ struct differs near; }};
         struct row {{ struct row *(*next)[2]; struct differs **far; }}; enum turn {{ LEFT, RIGHT }}; struct turns {{ enum turn turn; }};
         int one(struct shared *s, struct late *l, struct differs *d, enum mood m, struct alike *k, struct opaque *o,
                 struct points *p, struct holds *h, struct row *r, struct turns *t) {{ return 0; }}
         int main(void) {{ return 0; }}"
    );
    let other = format!(
        "{shared} struct late {{ long number; }}; struct differs {{ long a; }}; struct alike {{ float a; }};
         struct points {{ struct differs *far; }}; struct holds {{ struct differs near; }};
         struct row {{ struct row *(*next)[2]; struct differs **far; }}; enum turn {{ RIGHT, LEFT }}; struct turns {{ enum turn turn; }};
         int other(struct shared *s, struct late *l, struct differs *d, enum mood m, struct alike *k, struct opaque *o,
                   struct points *p, struct holds *h, struct row *r, struct turns *t) {{ return 0; }}"
    );
    let compiled = Compiled::new();
    for way in [&["-g"][..], &["-g", "-fdebug-types-section"]] {
        let object = compiled.build("other.c", &other, &[way, &["-w", "-c"]].concat());
        std::fs::rename(&object, object.with_file_name("other.o")).unwrap();
        let path = compiled.build("one.c", &one, &[way, &["-w", "other.o"]].concat());
        let path = path.display();
        // For types in sections of their own the compiler takes those for one that point to different ones of a name.
        let one = way.len() > 1;
        for (of, same) in [
            ("*args.s", true),
            ("*args.o", true),
            ("*args.p", one),
            ("*args.h", false),
            ("*args.r", one),
            ("*args.t", false),
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

/// Types of C++ have the names of others in other scopes.
#[test]
fn types_of_other_scopes_are_others() {
    if let Some(why) = no_compiler("g++") {
        fn here() {}
        return requires::skip("g++", &why, here);
    }
    let source = "struct List { struct Node { Node *next; int value; }; struct It { Node *node; } it; };
        struct Map { struct Node { Node *next; long key; int value; }; struct It { Node *node; } it; };
        class Door { public: class Key; Key *key; };
        struct Piano { struct Key { long tone; }; Key *key; };
        namespace a { struct Same { int one; }; } namespace b { struct Same { int two; }; }
        namespace { struct Same { int three; }; }
        extern \"C\" int f(List *l, Map *m) { return 0; }
        extern \"C\" int g(Door *d, Piano *p) { return 0; }
        extern \"C\" int h(a::Same *a, b::Same *b, Same *c) { return 0; }
        int main() { return f(0, 0) + g(0, 0) + h(0, 0, 0); }";
    // Defined outside of the class that it is declared in.
    let defined =
        "class Door::Key { public: int teeth; }; extern \"C\" int k(Door::Key *k) { return 0; }";
    let compiled = Compiled::new();
    for way in [&["-g"][..], &["-g", "-fdebug-types-section"]] {
        let compiles = |path: &Path, point: &str, body: &str| {
            compiles_script(&format!("uprobe:{}:{point} {{ {body} }}", path.display()))
        };
        let path = compiled.build("scopes.cc", source, &[way, &["-w"]].concat());
        for order in [
            "print(args.l->it.node->value); print(args.m->it.node->key);",
            "print(args.m->it.node->key); print(args.l->it.node->value);",
        ] {
            assert!(compiles(&path, "f", order), "{way:?} {order}");
        }
        assert!(!compiles(&path, "f", "print(args.m->it.node->key); print(args.l->it.node->key);"));
        assert!(compiles(&path, "g", "print(args.p->key->tone);"), "{way:?}");
        // It is only declared.
        assert!(!compiles(&path, "g", "print(args.d->key->tone);"), "{way:?}");
        let body = "print((args.a->one, args.b->two, args.c->three));";
        assert!(compiles(&path, "h", body), "{way:?}");
        let path =
            compiled.build("key.cc", &format!("{source} {defined}"), &[way, &["-w"]].concat());
        assert!(compiles(&path, "g", "print((args.p->key->tone, args.d->key->teeth));"), "{way:?}");
        assert!(compiles(&path, "k", "print(args.k->teeth);"), "{way:?}");
    }
}

/// A file with any number of types of one name is not compared any number of times.
#[test]
fn the_first_types_of_a_name_are_compared() {
    if let Some(why) = no_compiler("gcc") {
        fn here() {}
        return requires::skip("gcc", &why, here);
    }
    const UNITS: usize = 20;
    let compiled = Compiled::new();
    let mut objects = Vec::new();
    for unit in 0..UNITS {
        // The first two have the same, and the last two.
        let field = match unit {
            1 => 0,
            19 => 18,
            other => other,
        };
        let source =
            format!("struct s {{ int a{field}; }}; int f{unit}(struct s *s) {{ return 0; }}");
        let object = compiled.build(&format!("u{unit}.c"), &source, &["-g", "-c"]);
        let to = object.with_file_name(format!("u{unit}.o"));
        std::fs::rename(&object, &to).unwrap();
        objects.push(to.display().to_string());
    }
    let mut args = vec!["-g"];
    args.extend(objects.iter().map(String::as_str));
    let path = compiled.build("main.c", "int main(void) { return 0; }", &args);
    let path = path.display();
    let probes: String = (0..UNITS)
        .map(|unit| {
            let field = match unit {
                1 => 0,
                19 => 18,
                other => other,
            };
            format!("uprobe:{path}:f{unit} {{ print(args.s->a{field}); }} ")
        })
        .collect();
    assert!(compiles_script(&probes));
    let with = |units: [usize; 2]| {
        let [first, second] = units.map(|unit| format!("uprobe:{path}:f{unit} {{ @ = *args.s; }}"));
        format!("{probes} {first} {second}")
    };
    assert!(compiles_script(&with([0, 1])));
    assert!(!compiles_script(&with([2, 3])));
    assert!(!compiles_script(&with([18, 19])));
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
