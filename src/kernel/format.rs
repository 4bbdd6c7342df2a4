//! The fields of a tracepoint, from its `format` file.

use super::tracefs;
use crate::error::{Error, Result};
use std::path::Path;

/// A field of a tracepoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type as C has it, `const char *`, `char[16]`.
    pub of: String,
    /// Its offset in the context of a program, in bytes.
    pub offset: u32,
    /// Its size, in bytes.
    pub size: u32,
    /// Whether it is a signed number.
    pub signed: bool,
}

impl Field {
    /// Whether it is one number and not an array.
    pub fn is_scalar(&self) -> bool {
        !self.of.contains('[') && matches!(self.size, 1 | 2 | 4 | 8)
    }

    /// Returns the number of its elements and the size of each, in bytes, if it is an array in the context itself.
    pub fn elements(&self) -> Option<(u32, u32)> {
        let (element, count) = self.of.strip_suffix(']')?.rsplit_once('[')?;
        let count = count.parse().ok().filter(|count| *count > 0 && !element.contains('['))?;
        self.size.is_multiple_of(count).then_some((count, self.size / count))
    }
}

/// The fields of the tracepoint `events/CATEGORY/NAME`, in order; first those that all have (`common_type`, …), which a
/// program must not read.
///
/// # Errors
/// As [`tracefs::tracepoint_id`]; [`Error::Format`] if the file is not as it should be.
pub fn fields(category: &str, name: &str) -> Result<Vec<Field>> {
    // Returns the error if there is no such tracepoint.
    tracefs::tracepoint_id(category, name)?;
    let relative = format!("events/{category}/{name}/format");
    let mut options = std::fs::OpenOptions::new();
    let what = "the fields of a tracepoint";
    let (file, path) = tracefs::open(what, Path::new(&relative), options.read(true))?;
    let text = std::io::read_to_string(file)
        .map_err(|source| crate::permission::file("read", &path, source))?;
    parse(&text).ok_or(Error::Format { path, problem: "a field without name, offset or size" })
}

/// `field:unsigned short common_type; offset:0; size:2; signed:0;` with tabs (`kernel/trace/trace_events.c`, `f_show`).
fn parse(text: &str) -> Option<Vec<Field>> {
    let fields = text.lines().map(str::trim_start).filter(|line| line.starts_with("field:"));
    fields.map(field).collect()
}

fn field(line: &str) -> Option<Field> {
    let (mut declared, mut offset, mut size, mut signed) = (None, None, None, false);
    for part in line.split(';') {
        match part.trim().split_once(':') {
            Some(("field", text)) => declared = Some(text),
            Some(("offset", number)) => offset = number.parse().ok(),
            Some(("size", number)) => size = number.parse().ok(),
            Some(("signed", number)) => signed = number == "1",
            _ => {}
        }
    }
    let declared = declared?;
    // `__data_loc char[] name`, `char comm[16]`, `const char * filename`
    let (before, length) = match declared.find('[') {
        Some(place) if declared.ends_with(']') => declared.split_at(place),
        _ => (declared, ""),
    };
    let word = |c: char| c == '_' || c.is_alphanumeric();
    let start = before.rfind(|c| !word(c)).map_or(0, |place| place + 1);
    let (of, name) = before.split_at(start);
    let of = format!("{}{length}", of.trim_end());
    (!name.is_empty()).then_some(Field {
        name: name.into(),
        of,
        offset: offset?,
        size: size?,
        signed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requires::{Thing, needs};
    use proptest::prelude::*;

    /// From Linux 6.1, shortened.
    const OPENAT: &str = "name: sys_enter_openat\nID: 637\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:const char * filename;\toffset:24;\tsize:8;\tsigned:0;\n\
        \tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
        \tfield:__data_loc char[] name;\toffset:8;\tsize:4;\tsigned:0;\n\n\
        print fmt: \"dfd: 0x%08lx\", ((unsigned long)(REC->dfd))\n";

    #[test]
    fn fields_are_read() {
        let fields = parse(OPENAT).unwrap();
        let short: Vec<_> = fields
            .iter()
            .map(|f| (f.name.as_str(), f.of.as_str(), f.offset, f.size, f.signed, f.is_scalar()))
            .collect();
        assert_eq!(
            short,
            [
                ("common_type", "unsigned short", 0, 2, false, true),
                ("common_pid", "int", 4, 4, true, true),
                ("__syscall_nr", "int", 8, 4, true, true),
                ("filename", "const char *", 24, 8, false, true),
                ("prev_comm", "char[16]", 8, 16, false, false),
                ("name", "__data_loc char[]", 8, 4, false, false),
            ]
        );
    }

    #[test]
    fn arrays_have_elements() {
        let elements = |line: &str| field(line).unwrap().elements();
        assert_eq!(elements("field:unsigned long args[6];offset:16;size:48;"), Some((6, 8)));
        assert_eq!(elements("field:char comm[16];offset:8;size:16;"), Some((16, 1)));
        for none in [
            "field:long id;offset:8;size:8;",
            "field:__data_loc char[] name;offset:8;size:4;",
            "field:char comm[TASK_COMM_LEN];offset:8;size:16;",
            "field:char x[0];offset:8;size:0;",
            "field:u32 x[3];offset:8;size:16;",
            "field:u32 x[2][2];offset:8;size:16;",
        ] {
            assert_eq!(elements(none), None, "{none}");
        }
    }

    #[test]
    fn half_a_field_is_none() {
        for line in ["field:int x;", "field:;offset:1;size:1;", "field:int x;offset:a;size:4;"] {
            assert_eq!(parse(line), None, "{line}");
        }
        assert_eq!(parse(""), Some(vec![]));
    }

    #[test]
    fn this_kernels_formats_are_read() {
        needs!(Tracefs);
        let fields = fields("sched", "sched_process_fork").unwrap();
        assert!(fields.iter().any(|field| field.name == "child_pid" && field.size == 4));
        assert!(matches!(super::fields("sched", "sched_nothing"), Err(Error::NotFound { .. })));
    }

    proptest! {
        #[test]
        fn any_text_is_fields_or_not(text in "(field:|offset:|size:|[a-z\\[\\]; :0-9\t\n]){0,60}") {
            let _ = parse(&text);
        }
    }
}
