//! Programs of every type, for every way of attaching them, and with every flag.

use crate::common::requires::{Thing, needs, needs_tried};
use rawbpf::asm::Code;
use rawbpf::attach::{self, Target, TrampolineAt};
use rawbpf::features::{Feature, Features, Probe};
use rawbpf::{
    AttachType, Errno, Error, ErrorKind, Loader, MapSpec, ProgramFlags, ProgramSpec, ProgramType,
    bpf,
};

const ZERO: Code<'static> = bpf! { r0 = 0; exit; };
const ONE: Code<'static> = bpf! { r0 = 1; exit; };

const fn spec(kind: ProgramType, code: Code<'static>) -> ProgramSpec<'static, 'static> {
    ProgramSpec::new("smallest", kind, code)
}

const fn named(
    kind: ProgramType,
    attach: AttachType,
    target: &'static str,
) -> ProgramSpec<'static, 'static> {
    spec(kind, ZERO).with_attach_type(attach).with_target(target)
}

/// The smallest program for each way of attaching.
fn of_attach_type(attach: AttachType) -> ProgramSpec<'static, 'static> {
    use AttachType::*;
    use ProgramType as P;
    let (kind, code) = match attach {
        CgroupInetIngress | CgroupInetEgress => (P::CgroupSkb, ONE),
        CgroupInetSockCreate
        | CgroupInetSockRelease
        | CgroupInet4PostBind
        | CgroupInet6PostBind => (P::CgroupSock, ONE),
        CgroupSockOps => (P::SockOps, ONE),
        SkSkbStreamParser | SkSkbStreamVerdict | SkSkbVerdict => (P::SkSkb, ZERO),
        CgroupDevice => (P::CgroupDevice, ONE),
        SkMsgVerdict => (P::SkMsg, ZERO),
        LircMode2 => (P::LircMode2, ZERO),
        FlowDissector => (P::FlowDissector, ZERO),
        CgroupSysctl => (P::CgroupSysctl, ONE),
        CgroupGetsockopt | CgroupSetsockopt => (P::CgroupSockopt, ONE),
        TraceRawTp => return named(P::Tracing, attach, "sched_switch"),
        TraceFentry | TraceFexit | TraceFsession => {
            return named(P::Tracing, attach, "bpf_fentry_test1");
        }
        ModifyReturn => return named(P::Tracing, attach, "security_file_open"),
        TraceIter => return named(P::Tracing, attach, "task"),
        LsmMac => return named(P::Lsm, attach, "file_open"),
        LsmCgroup => return named(P::Lsm, attach, "socket_bind"),
        XdpDevMap | XdpCpuMap | Xdp => (P::Xdp, ZERO),
        SkLookup => (P::SkLookup, ONE),
        SkReuseportSelect | SkReuseportSelectOrMigrate => (P::SkReuseport, ONE),
        PerfEvent => (P::PerfEvent, ZERO),
        TraceKprobeMulti | TraceUprobeMulti | TraceKprobeSession | TraceUprobeSession => {
            (P::Kprobe, ZERO)
        }
        StructOps => return spec(P::StructOps, ZERO).with_target("tcp_congestion_ops.undo_cwnd"),
        Netfilter => (P::Netfilter, ZERO),
        TcxIngress | TcxEgress | NetkitPrimary | NetkitPeer => (P::SchedCls, ZERO),
        TraceFentryMulti | TraceFexitMulti | TraceFsessionMulti => (P::Tracing, ZERO),
        // The rest are addresses of sockets.
        _ => (P::CgroupSockAddr, ONE),
    };
    spec(kind, code).with_attach_type(attach)
}

#[test]
fn there_is_a_program_for_every_way_of_attaching() {
    needs!(Bpf, Btf);
    let features = Features::new();
    let (mut loaded, mut wrong) = (0, Vec::new());
    for attach in AttachType::ALL {
        // What root may not load here is not the loader's to do.
        if !matches!(features.has(*attach), Ok(true)) {
            continue;
        }
        let spec = of_attach_type(*attach);
        match Loader::new().load(&spec) {
            Ok(program) => {
                assert_eq!(
                    (program.kind(), program.info().unwrap().kind()),
                    (spec.kind, Some(spec.kind))
                );
                loaded += 1;
            }
            Err(error) => wrong.push(format!("{attach}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(loaded > 30, "{loaded}");
}

#[test]
fn there_is_a_program_of_every_type() {
    needs!(Bpf, Btf);
    let features = Features::new();
    let (mut loaded, mut wrong) = (0, Vec::new());
    for kind in ProgramType::ALL {
        use ProgramType as P;
        // That is for another program: it has its own tests.
        if *kind == P::Ext || !matches!(features.has(*kind), Ok(true)) {
            continue;
        }
        let spec = match kind {
            P::CgroupSockAddr => of_attach_type(AttachType::CgroupInet4Connect),
            P::CgroupSockopt => of_attach_type(AttachType::CgroupGetsockopt),
            P::Tracing => of_attach_type(AttachType::TraceRawTp),
            P::Lsm => of_attach_type(AttachType::LsmMac),
            P::StructOps => of_attach_type(AttachType::StructOps),
            P::SkLookup => of_attach_type(AttachType::SkLookup),
            P::Netfilter => of_attach_type(AttachType::Netfilter),
            _ => spec(*kind, ZERO),
        };
        match Loader::new().load(&spec) {
            Ok(program) => {
                assert_eq!(program.info().unwrap().kind(), Some(*kind));
                loaded += 1;
            }
            Err(error)
                if error.kind() == ErrorKind::NotPermitted
                    && Thing::NoKprobe.missing().is_none() => {}
            Err(error) => wrong.push(format!("{kind}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(loaded > 20, "{loaded}");
}

/// Every flag is taken where the kernel has it.
#[test]
fn flags_are_passed_on() {
    needs!(Bpf);
    let features = Features::new();
    let syscall = spec(ProgramType::Syscall, ZERO);
    let xdp = spec(ProgramType::Xdp, ZERO);
    let rows: [(Option<Probe>, ProgramSpec<'_, '_>, ProgramFlags); 6] = [
        (None, xdp, ProgramFlags::STRICT_ALIGNMENT),
        (None, xdp, ProgramFlags::ANY_ALIGNMENT),
        (None, xdp, ProgramFlags::TEST_RND_HI32),
        (None, xdp, ProgramFlags::TEST_STATE_FREQ),
        (Some(ProgramType::Syscall.into()), syscall, ProgramFlags::SLEEPABLE),
        (Some(Feature::XdpFrags.into()), xdp, ProgramFlags::XDP_HAS_FRAGS),
    ];
    for (probe, spec, flag) in rows {
        if probe.is_none_or(|probe| features.has(probe).unwrap()) {
            let loaded = Loader::new().load(&spec.with_flags(flag));
            loaded.unwrap_or_else(|error| panic!("{flag:#x}: {error}"));
        }
    }
    // The loopback device has no such kfuncs: it is what the kernel looks at.
    if features.has(Feature::XdpMetadata).unwrap() {
        let bound = xdp.with_flags(ProgramFlags::XDP_DEV_BOUND_ONLY);
        Loader::new().load(&bound).unwrap();
        let error = Loader::new().load(&bound.with_ifindex(1)).unwrap_err();
        let refused = matches!(error, Error::LoadProgram { errno: Errno(libc::EOPNOTSUPP), .. });
        assert!(refused, "{error}");
    }
}

/// Gives the length of the packet at least.
static LENGTH: ProgramSpec = ProgramSpec::new(
    "length",
    ProgramType::SchedCls,
    bpf! {
        r6 = r1;
        r1 = r6;
        call half;
        r1 = *(u32 *)(r6 + 0);
        r0 += r1;
        exit;
    half:
        r0 = 3;
        exit;
    },
);

/// Why no program can take the place of another here.
fn no_replacement() -> Option<String> {
    let there = Loader::new().load(&LENGTH).unwrap();
    let spec = spec(ProgramType::Ext, ONE).with_target("length");
    match Loader::new().load_for(&spec, &there) {
        Err(error) if error.kind() == ErrorKind::NotPermitted => Some(error.to_string()),
        _ => None,
    }
}

const ENTRY: Target = Target::Trampoline { at: TrampolineAt::Entry, function: String::new() };

#[test]
fn a_program_takes_the_place_of_a_function() {
    needs!(Bpf, Btf, Jit);
    needs_tried!("freplace", no_replacement());
    let length = Loader::new().load(&LENGTH).unwrap();
    let run = || length.test_run(&[0; 60], 1).unwrap().returned;
    assert_eq!(run(), 63);

    // It is called with what the function is called with.
    let code = bpf! { r0 = *(u32 *)(r1 + 0); r0 += 1000; exit; };
    let other = spec(ProgramType::Ext, code).with_target("length");
    let other = Loader::new().load_for(&other, &length).unwrap_or_else(|error| panic!("{error}"));
    let link = attach::attach(&other, &ENTRY).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(run(), 1060);
    drop(link);
    assert_eq!(run(), 63);
}

static ENTERED: MapSpec = MapSpec::bss("entered", 8);

#[test]
fn functions_of_programs_are_traced() {
    needs!(Bpf, Btf, Jit);
    needs_tried!("freplace", no_replacement());
    let length = Loader::new().load(&LENGTH).unwrap();
    for function in ["length", "half"] {
        let code = bpf! {
            r1 = ENTERED[0] ll;
            r2 = 1;
            lock *(u64 *)(r1 + 0) += r2;
            r0 = 0;
            exit;
        };
        let entered =
            named(ProgramType::Tracing, AttachType::TraceFentry, "").with_target(function);
        let entered = ProgramSpec { code, ..entered };
        let mut loader = Loader::new();
        let program = loader
            .load_for(&entered, &length)
            .unwrap_or_else(|error| panic!("{function}: {error}"));
        let link = attach::attach(&program, &ENTRY).unwrap();
        length.test_run(&[0; 60], 5).unwrap();
        drop(link);
        length.test_run(&[0; 60], 1).unwrap();
        let count = loader.map(&ENTERED).unwrap().lookup(&[0; 4]).unwrap().unwrap();
        assert_eq!(count, 5u64.to_ne_bytes(), "{function}");
    }
}

#[test]
fn a_function_that_a_program_has_not_is_named() {
    needs!(Bpf);
    let length = Loader::new().load(&LENGTH).unwrap();
    let ext = spec(ProgramType::Ext, ZERO);
    let error = Loader::new().load_for(&ext.with_target("lenght"), &length).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot load program `smallest` (ext) for `lenght`"), "{text}");
    assert!(text.contains("length"), "{text}");
    let error = Loader::new().load_for(&ext, &length).unwrap_err();
    assert!(error.to_string().contains("its target is the name of a function"), "{error}");
    let error = Loader::new().load_for(&spec(ProgramType::Xdp, ZERO), &length).unwrap_err();
    assert!(matches!(error, Error::Spec { .. }), "{error}");
}
