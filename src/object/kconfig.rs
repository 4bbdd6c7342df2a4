//! Settings of the kernel that an object declares (`__kconfig`), and their values, as libbpf has them.

use super::names::shown;
use super::raw::{Raw, SymbolKind};
use crate::btf::{Body, Btf, Kind, Type};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::kernel::config::KernelConfig;
use crate::kernel::symbols;
use crate::spec::{Kconfig, KconfigValues, Setting, SettingKind};
use crate::syscall;
use crate::uapi::ProgramType;
use crate::util::file;
use std::collections::{HashMap, HashSet};

/// The section in which such variables are declared.
pub(super) const SECTION: &str = ".kconfig";

/// The name of the type of settings that can be modules.
const TRISTATE: &str = "libbpf_tristate";

/// The version of a kernel of Ubuntu.
const SIGNATURE: &str = "/proc/version_signature";

/// The most bytes of all settings together.
const MOST: u64 = 1 << 20;

/// Returns the settings whose symbols an object has; what of them cannot be had is remarked upon.
pub(super) fn kconfig(raw: &Raw<'_>, btf: &Btf, unsaid: &mut Vec<String>) -> Option<Kconfig> {
    let mut types = HashMap::new();
    for section in btf.types().flatten() {
        let Body::Section { variables, .. } = section.body else { continue };
        if section.name != SECTION {
            continue;
        }
        for variable in variables {
            if let Ok(Type { name, body: Body::Variable { of, .. }, .. }) = btf.get(variable.of) {
                types.insert(name, of);
            }
        }
    }
    let (mut settings, mut known, mut total) = (Vec::new(), HashSet::new(), 0);
    for symbol in &raw.symbols {
        let external = symbol.section.is_none() && symbol.global;
        if !external || symbol.kind != SymbolKind::Untyped || !known.insert(symbol.name.as_str()) {
            continue;
        }
        let Some(of) = types.get(symbol.name.as_str()) else { continue };
        match kind(btf, *of) {
            Some((kind, size)) => {
                total += u64::from(size).next_multiple_of(8);
                let (name, weak) = (symbol.name.as_str().into(), symbol.weak);
                settings.push(Setting { name, weak, kind, offset: 0, size });
            }
            None => {
                let declared = btf.declaration(*of, &symbol.name).unwrap_or_default();
                unsaid.push(format!(
                    "setting `{}` (__kconfig): unsupported type: `{}`, expected an integer, bool, char, an array of char or \
                     `enum {TRISTATE}`",
                    shown(&symbol.name),
                    shown(&declared)
                ));
            }
        }
    }
    if total > MOST {
        unsaid.push("settings of the kernel (__kconfig): they have more than 1 MiB".into());
        return None;
    }
    (!settings.is_empty()).then(|| laid_out(settings))
}

/// Returns the indices of settings by their names.
pub(super) fn indices(config: &Kconfig) -> HashMap<&str, u32> {
    config.settings.iter().map(|setting| &*setting.name).zip(0..).collect()
}

/// Returns the settings in the order of libbpf, with their offsets.
fn laid_out(mut settings: Vec<Setting>) -> Kconfig {
    settings.sort_by(|one, other| {
        let order = |setting: &Setting| (std::cmp::Reverse(align(setting)), setting.size);
        order(one).cmp(&order(other)).then_with(|| one.name.cmp(&other.name))
    });
    let mut size = 0_u32;
    for setting in &mut settings {
        setting.offset = size.next_multiple_of(align(setting));
        size = setting.offset + setting.size;
    }
    Kconfig { settings, size, types: None, values: KconfigValues(values) }
}

fn align(setting: &Setting) -> u32 {
    if setting.kind == SettingKind::Text { 1 } else { setting.size }
}

/// Returns the kind and the size of a setting of this type; none if there are no settings of it.
fn kind(btf: &Btf, of: u32) -> Option<(SettingKind, u32)> {
    let found = btf.resolve(of).ok()?;
    Some(match found.body {
        Body::Int { size: 1, boolean: true, .. } => (SettingKind::Bool, 1),
        Body::Int { boolean: true, .. } => return None,
        Body::Int { size: 1, signed, .. } => (SettingKind::Char { signed }, 1),
        Body::Int { size: size @ (2 | 4 | 8), signed, .. } => {
            (SettingKind::Integer { signed }, size)
        }
        Body::Enum { size: 4, .. } if found.name == TRISTATE && found.kind == Kind::Enum => {
            (SettingKind::Tristate, 4)
        }
        Body::Array { element, len: size @ 1.., .. } => match kind(btf, element)? {
            (SettingKind::Char { .. }, _) => (SettingKind::Text, size),
            _ => return None,
        },
        _ => return None,
    })
}

/// Returns the values that the running kernel has.
fn values(config: &Kconfig) -> Result<Vec<u8>> {
    let read = match config.settings.iter().any(|setting| setting.name.starts_with("CONFIG_")) {
        true => Some(KernelConfig::read()?),
        false => None,
    };
    let known = read.as_ref().map(KernelConfig::settings).unwrap_or_default();
    let mut bytes = vec![0; config.size as usize];
    for setting in &config.settings {
        let place = setting.offset as usize..(setting.offset + setting.size) as usize;
        let Some(place) = bytes.get_mut(place) else { continue };
        let wrong = |problem| Error::Setting { name: setting.name.to_string(), problem };
        let value = match setting.name.strip_prefix("CONFIG_") {
            Some(_) => known.get(&*setting.name).map(|text| Value::read(text)),
            None => own(&setting.name)?.map(|number| Some(Value::Number(number))),
        };
        match value {
            Some(Some(value)) => value.put(setting, place).map_err(wrong)?,
            Some(None) => {
                let text = known.get(&*setting.name).copied().unwrap_or_default();
                return Err(wrong(format!("it is {}, which is no value", shown(text))));
            }
            None if setting.weak => {}
            None => {
                return Err(wrong(match &read {
                    Some(read) if setting.name.starts_with("CONFIG_") => {
                        format!("{} does not have it", read.path.display())
                    }
                    _ => "unknown name: expected CONFIG_NAME, LINUX_KERNEL_VERSION, LINUX_HAS_BPF_COOKIE or \
                          LINUX_HAS_SYSCALL_WRAPPER"
                        .into(),
                }));
            }
        }
    }
    Ok(bytes)
}

/// Returns the value of a name that no configuration has; none of an unknown name.
fn own(name: &str) -> Result<Option<u64>> {
    Ok(match name {
        "LINUX_KERNEL_VERSION" => {
            let signature = file::read_to_string(SIGNATURE).unwrap_or_default();
            let version = version(&signature, &syscall::release(), &syscall::build());
            Some(version.ok_or_else(|| Error::Setting {
                name: name.into(),
                problem: format!("the release {} has no version in it", syscall::release()),
            })?)
        }
        "LINUX_HAS_BPF_COOKIE" => {
            let found = Features::new().has_helper(ProgramType::Kprobe, "get_attach_cookie")?;
            Some(found.into())
        }
        "LINUX_HAS_SYSCALL_WRAPPER" => {
            let function = symbols::resolve_syscall("bpf")?;
            Some(function.is_some_and(|function| function.starts_with("__")).into())
        }
        _ => None,
    })
}

/// Returns `KERNEL_VERSION(a, b, c)`. The releases of Debian and Ubuntu have 0 for `c`. The version is in the text about the build, `#1 SMP
/// PREEMPT_DYNAMIC Debian 6.1.128-1 (2025-02-07)`, or in the signature, `Ubuntu 5.4.0-12.15-generic 5.4.8`.
fn version(signature: &str, release: &str, build: &str) -> Option<u64> {
    let debian = build.split_once("Debian ").map(|(_, version)| version);
    let text = signature.split_whitespace().nth(2).or(debian).unwrap_or(release);
    let mut numbers = text.splitn(3, '.').map(|number| {
        let end = number.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(number.len());
        number.get(..end)?.parse::<u64>().ok()
    });
    let (major, minor, patch) = (numbers.next()??, numbers.next()??, numbers.next()??);
    Some((major << 16) + (minor << 8) + patch.min(255))
}

/// A value of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value<'t> {
    /// `y`, `m` or `n`.
    State(u8),
    /// The text between the quotes.
    Text(&'t str),
    /// The bits of a number, negative ones with their sign.
    Number(u64),
}

impl Value<'_> {
    /// Reads a value; none if it is malformed.
    fn read(text: &str) -> Option<Value<'_>> {
        match text.as_bytes() {
            [state @ (b'y' | b'm' | b'n')] => Some(Value::State(*state)),
            [b'"', .., b'"'] => Some(Value::Text(text.get(1..text.len() - 1)?)),
            _ => number(text).map(Value::Number),
        }
    }

    /// Writes it as a setting of this type.
    fn put(self, setting: &Setting, place: &mut [u8]) -> Result<(), String> {
        use SettingKind::{Bool, Char, Integer, Text, Tristate};
        let number = match (self, setting.kind) {
            (Value::State(b'm'), Bool) => {
                return Err(
                    "it is `m`, and is declared as bool; expected `enum libbpf_tristate` or char"
                        .into(),
                );
            }
            (Value::State(state), Bool) => (state == b'y').into(),
            (Value::State(state), Tristate) => match state {
                b'y' => 1,
                b'm' => 2,
                _ => 0,
            },
            (Value::State(state), Char { .. }) => state.into(),
            (Value::State(state), Integer { .. } | Text) => {
                return Err(format!(
                    "it is `{}`, expected a declaration as bool, `enum libbpf_tristate` or char",
                    char::from(state)
                ));
            }
            (Value::Text(text), Text) => {
                // Of a longer one, what has room before the zero.
                let bytes = text.as_bytes();
                let length = bytes.len().min(place.len().saturating_sub(1));
                for (to, byte) in place.iter_mut().zip(bytes.iter().take(length)) {
                    *to = *byte;
                }
                return Ok(());
            }
            (Value::Text(text), _) => {
                return Err(format!(
                    "it is \"{}\", expected a declaration as an array of char",
                    shown(text)
                ));
            }
            (Value::Number(number), Bool) if number <= 1 => number,
            (Value::Number(number), Integer { signed } | Char { signed }) => {
                let bits = 8 * setting.size;
                let fits = match (bits, signed) {
                    (64.., _) => true,
                    (_, true) => {
                        let number = number.cast_signed();
                        -(1 << (bits - 1)) <= number && number < 1 << (bits - 1)
                    }
                    (_, false) => number >> bits == 0,
                };
                if !fits {
                    let number =
                        if signed { number.cast_signed().into() } else { i128::from(number) };
                    let sign = if signed { "signed" } else { "unsigned" };
                    return Err(format!("it is {number}, which does not fit {bits} bits, {sign}"));
                }
                number
            }
            (Value::Number(number), Bool | Tristate | Text) => {
                return Err(format!("it is {number}, expected a declaration as an integer"));
            }
        };
        let bytes = number.to_ne_bytes();
        let low = if cfg!(target_endian = "big") { 8 - place.len().min(8) } else { 0 };
        for (to, byte) in place.iter_mut().zip(bytes.iter().skip(low)) {
            *to = *byte;
        }
        Ok(())
    }
}

/// Reads a number as C writes it, with a sign perhaps.
fn number(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if !digits.starts_with(|digit: char| digit.is_ascii_digit()) {
        return None;
    }
    let hexadecimal = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    let number = match hexadecimal {
        Some(digits) if digits.starts_with('+') => return None,
        Some(digits) => u64::from_str_radix(digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    let number = number.ok()?;
    Some(if negative { number.wrapping_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requires::{Thing, needs};
    use SettingKind::{Bool, Char, Integer, Text, Tristate};

    fn setting(name: &str, kind: SettingKind, size: u32) -> Setting {
        Setting { name: name.into(), weak: false, kind, offset: 0, size }
    }

    /// Alignment, then size, then name.
    #[test]
    fn settings_lie_as_libbpf_lays_them_out() {
        let long = Integer { signed: false };
        let config = laid_out(vec![
            setting("z", Text, 3),
            setting("d", Bool, 1),
            setting("b", long, 4),
            setting("a", Tristate, 4),
            setting("c", long, 8),
        ]);
        let places = config.settings.iter().map(|setting| (&*setting.name, setting.offset));
        let expected = [("c", 0), ("a", 8), ("b", 12), ("d", 16), ("z", 17)];
        assert_eq!(places.collect::<Vec<_>>(), expected);
        assert_eq!(config.size, 20);
    }

    #[test]
    fn values_have_to_fit_their_types() {
        let (signed, unsigned) = (Integer { signed: true }, Integer { signed: false });
        let letter = Char { signed: true };
        let rows: &[(&str, SettingKind, usize, Option<&[u8]>)] = &[
            ("y", Bool, 1, Some(&[1])),
            ("n", Bool, 1, Some(&[0])),
            ("m", Bool, 1, None),
            ("1", Bool, 1, Some(&[1])),
            ("2", Bool, 1, None),
            ("y", Tristate, 4, Some(&1_u32.to_ne_bytes())),
            ("m", Tristate, 4, Some(&2_u32.to_ne_bytes())),
            ("n", Tristate, 4, Some(&[0; 4])),
            ("1", Tristate, 4, None),
            ("m", letter, 1, Some(b"m")),
            ("7", letter, 1, Some(&[7])),
            ("127", letter, 1, Some(&[127])),
            ("128", letter, 1, None),
            ("-128", letter, 1, Some(&[128])),
            ("255", Char { signed: false }, 1, Some(&[255])),
            ("y", unsigned, 4, None),
            ("0x1f", unsigned, 2, Some(&0x1f_u16.to_ne_bytes())),
            ("010", unsigned, 4, Some(&8_u32.to_ne_bytes())),
            ("65535", unsigned, 2, Some(&[255; 2])),
            ("65536", unsigned, 2, None),
            ("-1", unsigned, 4, None),
            ("-1", signed, 4, Some(&[255; 4])),
            ("32768", signed, 2, None),
            ("-32768", signed, 2, Some(&i16::MIN.to_ne_bytes())),
            ("-32769", signed, 2, None),
            ("0xffffffffffffffff", unsigned, 8, Some(&[255; 8])),
            ("0x10000000000000000", unsigned, 8, None),
            ("\"a\"", Text, 4, Some(b"a\0\0\0")),
            ("\"\"", Text, 1, Some(b"\0")),
            ("\"abcdef\"", Text, 4, Some(b"abc\0")),
            ("\"a\"", unsigned, 4, None),
            ("\"", Text, 4, None),
            ("\"a", Text, 4, None),
            ("5", Text, 4, None),
            ("", unsigned, 4, None),
            ("5x", unsigned, 4, None),
            ("0x+5", unsigned, 4, None),
            ("+5", unsigned, 4, None),
        ];
        for (text, kind, size, expected) in rows {
            let mut place = vec![0; *size];
            let setting = setting("CONFIG_X", *kind, *size as u32);
            let done = Value::read(text).map(|value| value.put(&setting, &mut place));
            let done = matches!(done, Some(Ok(()))).then_some(&place[..]);
            assert_eq!(done, *expected, "{text} {kind:?}");
        }
    }

    /// The features that a kernel has without a configuration to say so.
    #[test]
    fn features_are_those_of_the_running_kernel() {
        needs!(Bpf);
        let running = crate::kernel::version::running().unwrap();
        let cookies = running >= crate::util::Version::new(5, 15);
        assert_eq!(own("LINUX_HAS_BPF_COOKIE").unwrap(), Some(cookies.into()));
        let version = own("LINUX_KERNEL_VERSION").unwrap().unwrap();
        let major_and_minor = (version >> 16, version >> 8 & 0xff);
        assert_eq!(major_and_minor, (running.major.into(), running.minor.into()));
        let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap();
        let wrapped = ["__x64_sys_bpf", "__arm64_sys_bpf", "__s390x_sys_bpf"];
        let mut names = symbols.lines().filter_map(|line| line.split_whitespace().nth(2));
        let wrapper = names.any(|name| wrapped.contains(&name));
        assert_eq!(own("LINUX_HAS_SYSCALL_WRAPPER").unwrap(), Some(wrapper.into()));
        assert_eq!(own("LINUX_NO_SUCH_THING").unwrap(), None);
    }

    #[test]
    fn versions_are_those_of_the_kernel_and_not_of_its_package() {
        let plain = "#1 SMP PREEMPT_DYNAMIC Thu Jan 1 00:00:00 UTC 2026";
        let ubuntu = "Ubuntu 5.4.0-12.15-generic 5.4.8\n";
        for (signature, release, build, expected) in [
            ("", "6.18.44-fc", plain, Some(0x06122c)),
            ("", "5.10.300", plain, Some(0x050aff)),
            ("", "6.1.0-31-amd64", "#1 SMP Debian 6.1.128-1 (2025-02-07)", Some(0x060180)),
            (ubuntu, "5.4.0-12-generic", "#15-Ubuntu SMP", Some(0x050408)),
            ("", "7.0-rc1", plain, None),
            ("", "x", plain, None),
        ] {
            assert_eq!(version(signature, release, build), expected, "{release}");
        }
    }
}
