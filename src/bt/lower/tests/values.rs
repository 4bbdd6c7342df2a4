//! Values: arithmetic, comparisons, strings, tuples.

use super::{maps, records};

#[test]
fn first() {
    maps(&[
        ("@ = 1", "@=1"),
        ("@a = 1; @b[1] = 2", "@a=1 @b[1]=2"),
        ("@ = count()", "@=1"),
        ("@[\"x\"] = count()", "@[x]=1"),
    ]);
    records(&[("printf(\"%d %s\\n\", 5, \"abc\")", "Printf(5,abc)")]);
}
