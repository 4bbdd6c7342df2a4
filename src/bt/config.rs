//! Settings: those of the config block and those of the environment.

use super::types::StackMode;
use crate::util::nearest::{Nearest, OFFERED};

/// The settings of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// The size of strings of `str()` and the like, in bytes with the zero at the end.
    pub max_strlen: u32,
    /// The number of elements of a map that is not declared.
    pub max_map_keys: u32,
    /// The most probes that are attached to.
    pub max_probes: u32,
    /// The most programs that are loaded.
    pub max_programs: u32,
    /// The most bytes that `cat()` prints.
    pub max_cat_bytes: u64,
    /// The format in which stacks are printed.
    pub stack_mode: StackMode,
    /// The suffix that is appended to truncated strings.
    pub str_trunc_trailer: String,
    /// The pages of the ring buffer; chosen by the number of CPUs if 0.
    pub ring_pages: u32,
    /// The reaction to a probe that does not exist.
    pub missing_probes: MissingProbes,
    /// Whether maps are printed at the end.
    pub print_maps_on_exit: bool,
    /// Whether reads of memory that fail are reported; an option, and no setting.
    pub report_failed_reads: bool,
    /// Whether symbols of C++ and Rust are demangled.
    pub demangle: bool,
    /// Whether symbols of processes are looked up only when they are printed.
    pub lazy_symbolication: bool,
    /// The license of the programs.
    pub license: String,
    /// The settings that the environment has set: the script's own are ignored.
    pub from_environment: Vec<&'static str>,
}

/// The reaction to a probe that does not exist or cannot be attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingProbes {
    /// The run fails.
    Error,
    /// A warning.
    Warn,
    /// No message.
    Ignore,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            max_strlen: 1024,
            max_map_keys: 4096,
            max_probes: 1024,
            max_programs: 1024,
            max_cat_bytes: 10240,
            stack_mode: StackMode::Bpftrace,
            str_trunc_trailer: "..".into(),
            ring_pages: 0,
            missing_probes: MissingProbes::Error,
            print_maps_on_exit: true,
            report_failed_reads: false,
            demangle: true,
            lazy_symbolication: false,
            license: "GPL".into(),
            from_environment: Vec::new(),
        }
    }
}

/// The value of a setting as it is written in the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value<'a>(pub &'a str);

impl Value<'_> {
    fn number<T: TryFrom<u64>>(&self, most: &str) -> Result<T, String> {
        let value = super::literal::integer(self.0)
            .map_err(|_| format!("`{}`, expected a number", self.0))?;
        T::try_from(value).map_err(|_| format!("{value}, expected at most {most}"))
    }

    fn positive(&self) -> Result<u32, String> {
        match self.number(&u32::MAX.to_string())? {
            0 => Err("0, expected more".into()),
            value => Ok(value),
        }
    }

    fn boolean(&self) -> Result<bool, String> {
        match self.0.to_ascii_lowercase().as_str() {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(format!("`{}`, expected true or false", self.0)),
        }
    }
}

/// A setting: its name, one line of help, and how it is set.
pub(crate) struct Setting {
    /// Its name in the config block. In the environment it has `BPFTRACE_` in front and is in capitals.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    set: fn(&mut Config, Value<'_>) -> Result<(), String>,
}

/// The largest string: a value of a map can hold it on every kernel.
const MAX_STRLEN: u32 = 1 << 14;

/// All settings.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "max_strlen",
        help: "bytes of a string of str() and the like (1024)",
        set: |config, value| {
            let size = value.positive()?;
            if size > MAX_STRLEN {
                return Err(format!("{size}, expected at most {MAX_STRLEN}"));
            }
            config.max_strlen = size;
            Ok(())
        },
    },
    Setting {
        name: "max_map_keys",
        help: "elements of a map that is not declared (4096)",
        set: |config, value| value.positive().map(|value| config.max_map_keys = value),
    },
    Setting {
        name: "max_probes",
        help: "probes that are attached (1024)",
        set: |config, value| value.positive().map(|value| config.max_probes = value),
    },
    Setting {
        name: "max_bpf_progs",
        help: "programs that are loaded (1024)",
        set: |config, value| value.positive().map(|value| config.max_programs = value),
    },
    Setting {
        name: "max_cat_bytes",
        help: "bytes that cat() prints (10240)",
        set: |config, value| value.number("").map(|value| config.max_cat_bytes = value),
    },
    Setting {
        name: "stack_mode",
        help: "how stacks are printed: bpftrace, perf or raw",
        set: |config, value| {
            let mode = stack_mode(value.0);
            config.stack_mode =
                mode.ok_or_else(|| format!("`{}`, expected bpftrace, perf or raw", value.0))?;
            Ok(())
        },
    },
    Setting {
        name: "str_trunc_trailer",
        help: "what is added to strings that were cut (..)",
        set: |config, value| {
            config.str_trunc_trailer = value.0.into();
            Ok(())
        },
    },
    Setting {
        name: "perf_rb_pages",
        help: "pages of the ring buffer",
        set: |config, value| value.positive().map(|value| config.ring_pages = value),
    },
    Setting {
        name: "missing_probes",
        help: "what happens if a probe does not exist: error, warn or ignore",
        set: |config, value| {
            config.missing_probes = match value.0 {
                "error" => MissingProbes::Error,
                "warn" => MissingProbes::Warn,
                "ignore" => MissingProbes::Ignore,
                word => return Err(format!("`{word}`, expected error, warn or ignore")),
            };
            Ok(())
        },
    },
    Setting {
        name: "print_maps_on_exit",
        help: "whether maps are printed at the end (true)",
        set: |config, value| value.boolean().map(|value| config.print_maps_on_exit = value),
    },
    Setting {
        name: "cpp_demangle",
        help: "whether symbols of processes are demangled (true)",
        set: |config, value| value.boolean().map(|value| config.demangle = value),
    },
    Setting {
        name: "lazy_symbolication",
        help: "whether symbols of processes are looked up when they are printed",
        set: |config, value| value.boolean().map(|value| config.lazy_symbolication = value),
    },
    Setting {
        name: "license",
        help: "the license of the programs (GPL)",
        set: |config, value| {
            const KNOWN: [&str; 6] = [
                "GPL",
                "GPL v2",
                "GPL and additional rights",
                "Dual BSD/GPL",
                "Dual MIT/GPL",
                "Dual MPL/GPL",
            ];
            if !KNOWN.contains(&value.0) {
                return Err(format!("`{}`, expected one of {}", value.0, KNOWN.join(", ")));
            }
            config.license = value.0.into();
            Ok(())
        },
    },
    // Of these there is nothing to choose here: they are accepted and change nothing.
    Setting { name: "cache_user_symbols", help: "accepted, without effect", set: |_, _| Ok(()) },
    Setting { name: "log_size", help: "accepted, without effect", set: |_, _| Ok(()) },
    Setting {
        name: "max_type_res_iterations",
        help: "accepted, without effect",
        set: |_, _| Ok(()),
    },
    Setting { name: "max_ast_nodes", help: "accepted, without effect", set: |_, _| Ok(()) },
    Setting { name: "on_stack_limit", help: "accepted, without effect", set: |_, _| Ok(()) },
    Setting { name: "show_debug_info", help: "accepted, without effect", set: |_, _| Ok(()) },
    Setting { name: "symbol_source", help: "accepted, without effect", set: |_, _| Ok(()) },
    Setting { name: "use_blazesym", help: "accepted, without effect", set: |_, _| Ok(()) },
    Setting { name: "unstable_map_decl", help: "accepted, without effect", set: |_, _| Ok(()) },
    Setting { name: "unstable_tseries", help: "accepted, without effect", set: |_, _| Ok(()) },
    Setting { name: "unstable_addr", help: "accepted, without effect", set: |_, _| Ok(()) },
    Setting { name: "unstable_import", help: "accepted, without effect", set: |_, _| Ok(()) },
    Setting { name: "unstable_macro", help: "accepted, without effect", set: |_, _| Ok(()) },
];

/// Older names.
const ALIASES: [(&str, &str); 5] = [
    ("strlen", "max_strlen"),
    ("map_keys_max", "max_map_keys"),
    ("cat_bytes_max", "max_cat_bytes"),
    ("no_cpp_demangle", "cpp_demangle"),
    ("cache_user_syms", "cache_user_symbols"),
];

/// The mode of that name.
pub(crate) fn stack_mode(name: &str) -> Option<StackMode> {
    match name {
        "bpftrace" => Some(StackMode::Bpftrace),
        "perf" => Some(StackMode::Perf),
        "raw" => Some(StackMode::Raw),
        _ => None,
    }
}

/// The reason why a setting cannot be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No setting has that name; the nearest names.
    Unknown(Vec<String>),
    /// The value is wrong.
    Value(String),
}

impl Config {
    /// Sets a setting by its name, in the form of the config block or of the environment. One that the environment has set
    /// stays, but the value is checked.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let mut changed = self.clone();
        let setting = changed.change(name, value)?;
        if !self.from_environment.contains(&setting) {
            *self = changed;
        }
        Ok(())
    }

    fn change(&mut self, name: &str, value: &str) -> Result<&'static str, Problem> {
        let lower = name.to_ascii_lowercase();
        let word = lower.strip_prefix("bpftrace_").unwrap_or(&lower);
        let alias = ALIASES.iter().find(|(old, _)| *old == word);
        let word = alias.map_or(word, |(_, new)| new);
        let Some(setting) = SETTINGS.iter().find(|setting| setting.name == word) else {
            let mut nearest = Nearest::new(word, OFFERED);
            SETTINGS.iter().for_each(|setting| nearest.offer(setting.name));
            return Err(Problem::Unknown(nearest.into_names()));
        };
        let negated = match (alias, value) {
            (Some(("no_cpp_demangle", _)), "1") => "0",
            (Some(("no_cpp_demangle", _)), _) => "1",
            _ => value,
        };
        (setting.set)(self, Value(negated)).map_err(Problem::Value)?;
        Ok(setting.name)
    }

    /// Sets the settings in the environment, and returns the invalid ones with their problems. Variables that are not
    /// settings are ignored.
    pub(crate) fn set_from<'a>(
        &mut self,
        environment: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        for (name, value) in environment.filter(|(name, _)| name.starts_with("BPFTRACE_")) {
            match self.change(name, value) {
                Ok(setting) => self.from_environment.push(setting),
                Err(Problem::Value(problem)) => wrong.push((name.into(), problem)),
                Err(Problem::Unknown(_)) => {}
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_several_forms() {
        for name in ["stack_mode", "STACK_MODE", "BPFTRACE_STACK_MODE"] {
            let mut config = Config::default();
            assert_eq!(config.set(name, "perf"), Ok(()));
            assert_eq!(config.stack_mode, StackMode::Perf, "{name}");
        }
        let mut config = Config::default();
        let variables = [
            ("BPFTRACE_STRLEN", "200"),
            ("PATH", "x"),
            ("BPFTRACE_NO_CPP_DEMANGLE", "1"),
            ("BPFTRACE_MAX_PROBES", "x"),
        ];
        let wrong = config.set_from(variables.into_iter());
        assert_eq!((config.max_strlen, config.demangle), (200, false));
        assert_eq!(wrong, [("BPFTRACE_MAX_PROBES".into(), "`x`, expected a number".into())]);
    }

    #[test]
    fn the_environment_goes_before_the_script() {
        // As the manual of bpftrace says.
        let mut config = Config::default();
        assert_eq!(config.set_from([("BPFTRACE_STRLEN", "200")].into_iter()), []);
        assert_eq!(config.set("max_strlen", "100"), Ok(()));
        assert_eq!(config.set("max_map_keys", "5"), Ok(()));
        assert_eq!((config.max_strlen, config.max_map_keys), (200, 5));
        assert!(config.set("max_strlen", "x").is_err());
    }

    #[test]
    fn wrong_settings_are_told() {
        let mut config = Config::default();
        assert_eq!(
            config.set("max_map_key", "1"),
            Err(Problem::Unknown(vec!["max_map_keys".into()]))
        );
        assert!(matches!(config.set("max_strlen", "0"), Err(Problem::Value(_))));
        assert!(matches!(config.set("max_strlen", "100000"), Err(Problem::Value(_))));
        assert!(matches!(config.set("license", "MIT"), Err(Problem::Value(_))));
        assert!(matches!(config.set("print_maps_on_exit", "maybe"), Err(Problem::Value(_))));
        assert_eq!(config, Config::default());
    }
}
