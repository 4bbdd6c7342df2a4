//! Every row of the attach-point table: text, object, target, `trace` and `list` have to agree on it.

mod common;

use common::{rawbpf, said};
use rawbpf::asm::{Collection, ParseOptions, parse};
use rawbpf::attach::Target;
use rawbpf::attach_point::{ATTACH_POINTS, Attach, AttachPoint, List, Named, Rest, Suffix};
use rawbpf::insn::ByteOrder;
use rawbpf::list::Places;
use rawbpf::object::{self, Object};
use rawbpf::{AttachType, ProgramFlags, ProgramSpec, ProgramType, TextSpec, bpf};
use std::io::Write;
use std::process::{Command, Output, Stdio};

static EXIT: ProgramSpec =
    ProgramSpec::new("exit", ProgramType::SocketFilter, bpf! { r0 = 0; exit; });

/// Something that can stand behind the name of a row.
fn rest(row: &AttachPoint) -> &'static str {
    match row.rest {
        Rest::Nothing => "",
        Rest::Tracepoint => "sched/sched_switch",
        Rest::FileFunction | Rest::FilePattern => "c:strlen",
        Rest::Usdt => "/bin/x:provider:probe",
        Rest::Member => "tcp_congestion_ops.ssthresh",
        Rest::Event => "cpu-clock:99hz",
        Rest::Rate => "hz:99",
        Rest::Device => "lo",
        Rest::DeviceDirection => "lo/ingress",
        _ => "task",
    }
}

/// The suffixes with which a row is tried.
fn suffixes(row: &AttachPoint) -> impl Iterator<Item = Option<Suffix>> + use<> {
    [None, row.suffix].into_iter().take(1 + usize::from(row.suffix.is_some()))
}

/// `xdp/devmap` and `.frags` are `xdp.frags/devmap`.
fn with_suffix(name: &str, suffix: Option<Suffix>) -> String {
    let (first, end) = name.split_at(name.find('/').unwrap_or(name.len()));
    format!("{first}{}{end}", suffix.map_or("", Suffix::text))
}

/// The names of a row as a text has them, with a rest where one belongs.
fn texts(row: &AttachPoint, suffix: Option<Suffix>) -> Vec<String> {
    let names = std::iter::once(&row.name).chain(row.also);
    let texts = names.map(|name| match rest(row) {
        "" => with_suffix(name, suffix),
        rest => format!("{}/{rest}", with_suffix(name, suffix)),
    });
    texts.collect()
}

/// A row as a target names a place of it; `None` if no target does.
fn target(row: &AttachPoint, suffix: Option<Suffix>) -> Option<String> {
    let attach_type = row.attach_type.map_or("", AttachType::name);
    let (word, rest) = match (row.attach, row.among) {
        (Attach::No(_), _) => return None,
        (_, Some("tcx")) => ("tcx", format!("lo/{}", row.name.rsplit('/').next().unwrap())),
        (_, Some(among)) => (among, format!("/sys/fs/cgroup:{attach_type}")),
        _ => (row.name, rest(row).to_owned()),
    };
    Some(format!("{}:{rest}", with_suffix(word, suffix)))
}

fn module(text: &str) -> Collection<'_> {
    parse(text, "x.s", &ParseOptions::new()).unwrap_or_else(|error| panic!("{error}"))
}

/// The type, the attach type and the flags of the first program of a text.
fn loaded(module: &Collection<'_>) -> (ProgramType, Option<AttachType>, ProgramFlags) {
    let spec = TextSpec::new(module, &module.programs()[0], "x.s").unwrap();
    let kind = spec.kind().unwrap_or_else(|| panic!("{:?}", module.programs()[0].target()));
    let program = spec.program(kind);
    (program.kind, program.attach_type, program.flags)
}

fn trace(text: &str) -> Output {
    let mut command = Command::new(rawbpf());
    command
        .args(["trace", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn text_object_target_and_list_agree_on_every_row() {
    let kinds: Vec<_> = Places::kinds().collect();
    for row in ATTACH_POINTS {
        let expected = |suffix: Option<Suffix>| {
            let always = EXIT.with_kind(row.program_type).flags;
            (
                row.program_type,
                row.attach_type,
                always | suffix.map_or(ProgramFlags::empty(), Suffix::flag),
            )
        };
        for suffix in suffixes(row) {
            for name in texts(row, suffix) {
                let text = format!(".program p, {name}\nr0 = 0\nexit\n");
                let module = module(&text);
                assert_eq!(loaded(&module), expected(suffix), "{name}");

                let written = object::write(&module, "x.s", ByteOrder::NATIVE);
                if row.program_type == ProgramType::StructOps {
                    assert!(written.is_err(), "{name}");
                    continue;
                }
                let object = Object::read(&written.unwrap()).unwrap();
                let section = Named::read(&name).unwrap().section();
                assert_eq!(object.programs()[0].target(), Some(&*section), "{name}");
                let text = object.text(false);
                assert_eq!(loaded(&self::module(&text)), expected(suffix), "{name}: {text}");
            }
            let Some(text) = target(row, suffix) else {
                let Attach::No(instead) = row.attach else { panic!("{}", row.name) };
                for name in texts(row, suffix) {
                    let error = name.parse::<Target>().unwrap_err().to_string();
                    assert!(error.contains(instead), "{name}: {error}");
                }
                continue;
            };
            let target: Target = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            let spec = target.spec(&EXIT);
            let loaded = (spec.kind, spec.attach_type, spec.flags);
            assert_eq!(loaded, expected(suffix), "{text}");
            assert_eq!(target.program_type(), row.program_type, "{text}");
            assert_eq!(target.to_string().parse::<Target>().unwrap(), target, "{text}");
            // A text can say the place, too, in the way of targets.
            let named = Named::read(&text).unwrap();
            assert_eq!(named.point.map(|point| point.name), Some(row.name), "{text}");
        }
        // A kind that is listed is one that programs are attached to, under the name that it is listed by.
        assert_eq!(kinds.contains(&row.name), row.list != List::Nothing, "{}", row.name);
        assert!(row.list == List::Nothing || target(row, None).is_some(), "{}", row.name);
    }
    assert_eq!(kinds.len(), ATTACH_POINTS.iter().filter(|row| row.list != List::Nothing).count());
}

/// Nothing is attached: the second program has no place, which is told after the first has been given its own.
#[test]
fn trace_attaches_what_a_text_says() {
    for row in ATTACH_POINTS {
        for suffix in suffixes(row) {
            let own = match target(row, suffix) {
                // It runs when its file is read.
                Some(_) if row.list == List::Iterators => continue,
                Some(text) => text,
                None => texts(row, suffix).remove(0),
            };
            let text = format!(".program p, {own}\nr0 = 0\nexit\n.program other\nr0 = 0\nexit\n");
            let done = trace(&text);
            assert_eq!(done.status.code(), Some(2), "{own}: {}", said(&done));
            let words = match row.attach {
                Attach::No(instead) => instead,
                _ => "program `other`",
            };
            assert!(said(&done).contains(words), "{own}: {}", said(&done));
        }
    }
}

/// The one that `check` took and `trace` refused.
#[test]
fn a_sleepable_uprobe_is_a_target() {
    let target: Target = "uprobe.s/c:strlen".parse().unwrap();
    assert_eq!(target.plain(), &Target::uprobe("c", "strlen"));
    assert_eq!(target.spec(&EXIT).flags, rawbpf::ProgramFlags::SLEEPABLE);
}
