//! Kprobes on many functions: by patterns, at once and one by one, and at entry and return together.

use super::{A_COOKIE, COOKIE, COUNT, Counter, ask_group, has_cookie};
use crate::common::requires::{Thing, needs, needs_tried};
use nix::unistd::{getpgid, getsid};
use rawbpf::attach::kprobe::{self, ProbeMethod};
use rawbpf::attach::{self, Options, Target};
use rawbpf::syscall_trace;
use rawbpf::{AttachType, Error, ErrorKind, Loader};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::rc::Rc;

/// The functions of some system calls, those that both of these call among them.
const PATTERN: &str = "sys_get*id";

fn call_both() {
    getpgid(None).unwrap();
    getsid(None).unwrap();
}

/// The traceable functions of this kernel that begin and end like this.
fn functions(prefix: &str, suffix: &str) -> BTreeSet<String> {
    let text = fs::read_to_string("/sys/kernel/tracing/available_filter_functions").unwrap();
    let names = text.lines().map(|line| line.split(' ').next().unwrap());
    let fit = |name: &&str| {
        name.len() >= prefix.len() + suffix.len()
            && name.starts_with(prefix)
            && name.ends_with(suffix)
    };
    names.filter(fit).map(str::to_owned).collect()
}

/// The names that begin with what this kernel calls `sys_getpgid`.
fn expected() -> usize {
    let known = rawbpf::kernel::symbols::resolve_syscall("getpgid").unwrap().unwrap();
    functions(known.strip_suffix("pgid").unwrap(), "id").len()
}

/// Whether the kernel puts a program on many functions at once, by its configuration, not by what we do.
fn has_multi() -> bool {
    // FPROBE came with 5.18; Debian's kernels have it from 6.12 on.
    super::running() >= (6, 12)
}

#[test]
fn a_pattern_is_all_functions_that_match() {
    needs!(Kprobe, Tracefs);
    for text in [format!("kprobe:{PATTERN}"), format!("kretprobe:{PATTERN}")] {
        let target: Target = text.parse().unwrap();
        let counter =
            Counter::new(&COUNT, &target, &Options::new()).unwrap_or_else(|e| panic!("{e}"));
        let link = counter.link();
        assert_eq!((link.places(), link.skipped()), (expected(), 0), "{target}");
        assert!(link.places() > 1);
        // One link for all, where the kernel can do that.
        assert_eq!(link.as_bpf_link().is_some(), has_multi(), "{target}");
        counter.fires(2, call_both);
    }
}

#[test]
fn a_pattern_is_taken_one_by_one_without_the_other_way() {
    needs!(Kprobe, Tracefs);
    for method in [ProbeMethod::Pmu, ProbeMethod::Tracefs] {
        let target: Target = format!("kprobe:{PATTERN}").parse().unwrap();
        let counter = Counter::with(&COUNT, |loader, spec| {
            let program = loader.load(spec)?;
            let link = kprobe::attach(&program, &target, method)?;
            Ok((program, link))
        })
        .unwrap();
        assert_eq!(counter.link().places(), expected());
        assert!(counter.link().as_bpf_link().is_none());
        counter.fires(2, call_both);
    }
}

/// A load that works is made once: what the kernel can do is not asked beforehand.
#[test]
fn nothing_is_probed_beforehand() {
    needs!(Kprobe, Tracefs);
    needs_tried!("kprobe_multi", (!has_multi()).then(|| "this kernel has no FPROBE".to_string()));
    let target: Target = format!("kprobe:{PATTERN}").parse().unwrap();
    let story = Rc::new(RefCell::new(Vec::new()));
    let to = Rc::clone(&story);
    let counter = Counter::with(&COUNT, |loader, spec| {
        syscall_trace::observe(
            move |call| to.borrow_mut().extend(call.command),
            || attach::load_and_attach(loader, spec, &target),
        )
    });
    drop(counter.unwrap());
    let story = story.borrow();
    let made: Vec<_> = story.iter().filter(|command| **command != "BPF_BTF_LOAD").collect();
    assert_eq!(made, [&"BPF_PROG_LOAD", &"BPF_LINK_CREATE"]);
}

#[test]
fn every_function_has_the_cookie() {
    needs!(Kprobe, Tracefs);
    has_cookie("kprobe:sys_getpgid", (5, 15), ask_group);
    has_cookie("kretprobe:sys_getpgid", (5, 15), ask_group);
    let target: Target = format!("kprobe:{PATTERN}").parse().unwrap();
    let options = Options::new().cookie(A_COOKIE);
    match Counter::new(&COOKIE, &target, &options) {
        Ok(counter) => {
            getsid(None).unwrap();
            assert_eq!((counter.count(), counter.kept()), (1, A_COOKIE));
            counter.fires(2, call_both);
        }
        Err(error) => assert!(super::running() < (5, 15), "{error}"),
    }
}

#[test]
fn a_session_is_entry_and_return() {
    needs!(Kprobe, Tracefs);
    let target: Target = format!("ksession:{PATTERN}").parse().unwrap();
    let attached = Counter::new(&COUNT, &target, &Options::new());
    if super::running() < (6, 10) {
        let error = attached.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("6.10"), "{error}");
        return;
    }
    let counter = attached.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(counter.link().places(), expected());
    counter.fires(4, call_both);
}

/// One function by the way that is for many.
#[test]
fn many_can_be_one() {
    needs!(Kprobe, Tracefs);
    let target = Target::kprobe("sys_getpgid");
    let attached = Counter::with(&COUNT, |loader, spec| {
        let program = loader.load(&spec.with_attach_type(AttachType::TraceKprobeMulti))?;
        let link = attach::attach(&program, &target)?;
        Ok((program, link))
    });
    if !has_multi() {
        let error = attached.err().unwrap();
        assert!(matches!(error, Error::NoFeature { .. }), "{error}");
        assert!(error.to_string().contains("5.18") && error.to_string().contains("CONFIG_FPROBE"));
        return;
    }
    let counter = attached.unwrap();
    assert_eq!(counter.link().places(), 1);
    counter.fires(1, ask_group);
}

/// Functions that the kernel keeps from kprobes are passed over, and counted.
#[test]
fn what_cannot_be_probed_is_passed_over() {
    needs!(Kprobe, Tracefs);
    let all = functions("", "_kprobe");
    let kept = fs::read_to_string("/sys/kernel/debug/kprobes/blacklist");
    needs_tried!("blacklist", kept.as_ref().err().map(|error| error.to_string()));
    let kept = kept.unwrap();
    // `0xffffffff81a0-0xffffffff81b0	get_kprobe`
    let kept: BTreeSet<_> = kept.lines().filter_map(|line| line.split('\t').nth(1)).collect();
    let none = all.iter().filter(|name| kept.contains(name.as_str())).count();
    assert!(all.len() > none && none > 0, "{all:?}");
    let program = Loader::new().load(&COUNT).unwrap();
    let target: Target = "kprobe:*_kprobe".parse().unwrap();
    let link = kprobe::attach(&program, &target, ProbeMethod::Pmu).unwrap();
    assert_eq!((link.places(), link.skipped()), (all.len() - none, none), "{all:?}");
}

#[test]
fn too_many_are_not_begun_with() {
    needs!(Kprobe, Tracefs);
    let program = Loader::new().load(&COUNT).unwrap();
    let target: Target = "kprobe:*".parse().unwrap();
    match attach::attach(&program, &target) {
        Err(error @ Error::TooManyPlaces { places, most, .. }) => {
            assert!(places > most && most >= 100);
            assert!(error.to_string().contains("kprobe.multi"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_match_is_an_error() {
    needs!(Kprobe, Tracefs);
    for text in ["kprobe:no_*_such_function", "ksession:no_*_such"] {
        let target: Target = text.parse().unwrap();
        let error = Counter::new(&COUNT, &target, &Options::new()).err().unwrap();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        assert!(error.to_string().contains("that matches"), "{error}");
    }
}
