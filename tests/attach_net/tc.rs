//! Traffic control: links (tcx) and filters of `clsact`.

use super::common::alone;
use super::common::requires::{Thing, needs, needs_tried};
use super::common::wait_until;
use super::{COUNT, FRAME, PACKETS, Watch, counting, in_own_network, raw};
use nix::kmod::{DeleteModuleFlags, ModuleInitFlags, delete_module, finit_module};
use rawbpf::attach::tc::{self, Position};
use rawbpf::attach::{self, Direction, Link, Target, TcMethod};
use rawbpf::features::Features;
use rawbpf::map::Array;
use rawbpf::{
    AttachType, Error, ErrorKind, Loader, MapSpec, Program, ProgramSpec, ProgramType, bpf,
};
use std::ffi::CStr;
use std::fs::File;
use std::path::Path;

/// `TC_ACT_UNSPEC`: the next program decides. The length is in `struct __sk_buff`.
static COUNT_TC: ProgramSpec = counting! { "count_tc", SchedCls, FRAME, -1,
    r6 = *(u32 *)(r1 + 0);
};

const LO: u32 = raw::LOOPBACK;

fn no_clsact() -> Option<String> {
    in_own_network(|| raw::make_qdisc(LO, "clsact").err().map(|error| error.to_string()))
}

fn no_tcx() -> Option<String> {
    let has = Features::new().has(AttachType::TcxIngress).unwrap();
    (!has).then(|| "Linux 6.6 brought it".into())
}

fn target(direction: Direction, method: TcMethod) -> Target {
    Target::Tc { device: "lo".into(), direction, method }
}

const DIRECTIONS: [Direction; 2] = [Direction::Ingress, Direction::Egress];

/// In both directions, one and both at a time.
fn a_program_sees_packets(method: TcMethod, filters: usize) {
    let watch = Watch::new(&COUNT_TC);
    let attach = |direction| {
        let target = target(direction, method);
        let link = attach::attach(&watch.program, &target);
        let link = link.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(link.target(), &target);
        link
    };
    let nothing_is_left = || {
        assert_eq!(watch.counts(), 0);
        assert_eq!((raw::filters(LO), raw::qdiscs(LO)), (vec![], vec![]));
        assert_eq!(watch.links(), 0);
    };
    nothing_is_left();
    for direction in DIRECTIONS {
        let link = attach(direction);
        assert_eq!(watch.counts(), PACKETS);
        let seen = raw::filters(LO);
        assert_eq!((seen.len(), watch.links()), (filters, 1 - filters));
        assert!(seen.iter().all(|(name, id)| name.contains("count_tc") && *id == watch.id()));
        drop(link);
        nothing_is_left();
    }
    // Whichever direction is attached first, and whichever is detached first.
    for order in [DIRECTIONS, [Direction::Egress, Direction::Ingress]] {
        for first_goes_first in [true, false] {
            let [first, second] = order.map(attach);
            assert_eq!(watch.counts(), 2 * PACKETS);
            let (goes, stays) = if first_goes_first { (first, second) } else { (second, first) };
            drop(goes);
            assert_eq!(watch.counts(), PACKETS);
            drop(stays);
            nothing_is_left();
        }
    }
}

#[test]
fn a_program_sees_packets_by_a_link() {
    let _alone = alone();
    needs!(Bpf, Root);
    needs_tried!("tcx", no_tcx());
    in_own_network(|| {
        a_program_sees_packets(TcMethod::Tcx, 0);
        a_program_sees_packets(TcMethod::Best, 0);
    });
}

#[test]
fn a_program_sees_packets_by_a_filter() {
    let _alone = alone();
    needs!(Bpf, Root);
    needs_tried!("clsact", no_clsact());
    in_own_network(|| {
        a_program_sees_packets(TcMethod::Clsact, 1);
        if no_tcx().is_some() {
            a_program_sees_packets(TcMethod::Best, 1);
        }
    });
}

/// A queueing discipline that was there before, and filters of others, are not ours to remove.
#[test]
fn what_is_of_others_stays() {
    let _alone = alone();
    needs!(Bpf, Root);
    needs_tried!("clsact", no_clsact());
    let (ours, theirs) = (Watch::new(&COUNT_TC), Watch::new(&COUNT_TC));
    let by_filter = |direction| {
        attach::attach(&ours.program, &target(direction, TcMethod::Clsact))
            .unwrap_or_else(|error| panic!("{error}"))
    };
    in_own_network(|| {
        raw::make_qdisc(LO, "clsact").unwrap();
        let links = DIRECTIONS.map(by_filter);
        assert_eq!(ours.counts(), 2 * PACKETS);
        drop(links);
        assert_eq!((raw::qdiscs(LO), raw::filters(LO)), (vec!["clsact".to_owned()], vec![]));
    });
    in_own_network(|| {
        let link = by_filter(Direction::Egress);
        raw::add_filter(LO, &theirs.program);
        drop(link);
        assert_eq!(raw::filters(LO), [("another".to_owned(), theirs.id())]);
        assert_eq!(raw::qdiscs(LO), ["clsact"]);
        assert_eq!((ours.counts(), theirs.counts()), (0, PACKETS));
    });
    // The older discipline has the place. It serves what comes in, and would serve what goes out as if that came in.
    in_own_network(|| {
        raw::make_qdisc(LO, "ingress").unwrap();
        drop(by_filter(Direction::Ingress));
        let egress = target(Direction::Egress, TcMethod::Clsact);
        let error = attach::attach(&ours.program, &egress).unwrap_err();
        assert!(error.to_string().contains("`ingress` is in the place of `clsact`"), "{error}");
        assert_eq!((raw::qdiscs(LO), raw::filters(LO)), (vec!["ingress".to_owned()], vec![]));
    });
}

/// Another process's filter in the place that ours had is not ours.
#[test]
fn a_filter_that_has_been_replaced_is_left_alone() {
    let _alone = alone();
    needs!(Bpf, Root);
    needs_tried!("clsact", no_clsact());
    in_own_network(|| {
        let (ours, theirs) = (Watch::new(&COUNT_TC), Watch::new(&COUNT_TC));
        let ingress = target(Direction::Ingress, TcMethod::Clsact);
        let link = attach::attach(&ours.program, &ingress).unwrap();
        // All filters go, and the first of another's is made in the same way: it has the same priority and number.
        raw::remove_qdisc(LO);
        let other = attach::attach(&theirs.program, &ingress).unwrap();
        drop(link);
        assert_eq!((ours.counts(), theirs.counts()), (0, PACKETS));
        drop(other);
        assert_eq!((raw::qdiscs(LO), raw::filters(LO)), (vec![], vec![]));
    });
}

static ORDER: MapSpec = Array::<u64>::spec("order", 1);

/// Writes its digit after those of the programs that ran before it.
macro_rules! digit {
    ($digit:literal) => {
        ProgramSpec::new(
            "digit",
            ProgramType::SchedCls,
            bpf! {
                r6 = *(u32 *)(r1 + 0);
                if r6 != {FRAME} goto out;
                *(u32 *)(r10 - 4) = 0;
                r1 = ORDER ll;
                r2 = r10;
                r2 += -4;
                call map_lookup_elem;
                if r0 == 0 goto out;
                r1 = *(u64 *)(r0 + 0);
                r1 *= 10;
                r1 += $digit;
                *(u64 *)(r0 + 0) = r1;
            out:
                r0 = -1;
                exit;
            },
        )
    };
}

static DIGITS: [ProgramSpec; 4] = [digit!(1), digit!(2), digit!(3), digit!(4)];

struct Digits {
    programs: Vec<Program>,
    order: Array<u64>,
}

impl Digits {
    fn new() -> Digits {
        let mut loader = Loader::new();
        let programs = DIGITS.iter().map(|spec| loader.load(spec).unwrap()).collect();
        Digits { programs, order: Array::of(loader.map(&ORDER).unwrap()).unwrap() }
    }

    fn attach(&self, digit: usize, method: TcMethod, position: Position<'_>) -> Link {
        let target = target(Direction::Ingress, method);
        tc::attach(&self.programs[digit - 1], &target, position)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The order in which they see one packet.
    fn seen(&self) -> u64 {
        self.order.update(0, &0).unwrap();
        super::ping_once(&super::udp());
        self.order.lookup(0).unwrap()
    }
}

#[test]
fn links_stand_in_the_order_that_is_asked_for() {
    let _alone = alone();
    needs!(Bpf, Root);
    needs_tried!("tcx", no_tcx());
    in_own_network(|| {
        let digits = Digits::new();
        for method in [TcMethod::Tcx, TcMethod::Best] {
            let one = digits.attach(1, method, Position::Last);
            let two = digits.attach(2, method, Position::First);
            assert_eq!(digits.seen(), 21);
            let three = digits.attach(3, method, Position::Before(&one));
            assert_eq!(digits.seen(), 231);
            let four = digits.attach(4, method, Position::After(&two));
            assert_eq!(digits.seen(), 2431);
            drop(two);
            assert_eq!(digits.seen(), 431);
            // One of the other direction is not beside any of these.
            let egress = target(Direction::Egress, method);
            let beside = Position::Before(&one);
            let error = tc::attach(&digits.programs[1], &egress, beside).unwrap_err();
            assert!(matches!(error, Error::Attach { .. }), "{error:?}");
            assert!(error.to_string().contains("not of this device and direction"), "{error}");
            drop((one, three, four));
        }
    });
}

#[test]
fn filters_stand_in_the_order_that_is_asked_for() {
    let _alone = alone();
    needs!(Bpf, Root);
    needs_tried!("clsact", no_clsact());
    in_own_network(|| {
        let digits = Digits::new();
        let one = digits.attach(1, TcMethod::Clsact, Position::Last);
        let _two = digits.attach(2, TcMethod::Clsact, Position::First);
        let _three = digits.attach(3, TcMethod::Clsact, Position::Last);
        let _four = digits.attach(4, TcMethod::Clsact, Position::First);
        assert_eq!(digits.seen(), 4213);
        drop(one);
        assert_eq!(digits.seen(), 423);
        let target = target(Direction::Ingress, TcMethod::Clsact);
        let beside = Position::Before(&_two);
        let error = tc::attach(&digits.programs[0], &target, beside).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    });
}

/// The kernel of a virtual machine without the modules of filters, which its init has loaded. They come back when this is
/// dropped.
struct WithoutModules;

/// The modules, in the order in which they can be taken out, and where init has them.
const MODULES: [(&CStr, &str); 2] =
    [(c"cls_bpf", "/vm/modules/3-cls_bpf.ko"), (c"sch_ingress", "/vm/modules/2-sch_ingress.ko")];

impl WithoutModules {
    /// `None` on other machines, whose modules are not a test's.
    fn new() -> Option<WithoutModules> {
        if !MODULES.iter().all(|(_, file)| Path::new(file).exists()) {
            return None;
        }
        for (name, _) in MODULES {
            // Networks of tests that have ended go away some time later.
            let removed = || delete_module(name, DeleteModuleFlags::O_NONBLOCK).is_ok();
            wait_until("the module is not used", removed);
        }
        Some(WithoutModules)
    }
}

impl Drop for WithoutModules {
    fn drop(&mut self) {
        for (_, file) in MODULES {
            let module = File::open(file).unwrap();
            finit_module(module, c"", ModuleInitFlags::empty()).unwrap();
        }
    }
}

/// The error of a kernel that has neither.
#[test]
fn a_kernel_that_has_neither_says_so() {
    let _alone = alone();
    needs!(Bpf, Root);
    let _without = if no_tcx().is_some() { WithoutModules::new() } else { None };
    let old = no_tcx().is_some() && no_clsact().is_some();
    needs_tried!("no_tc", (!old).then(|| "this kernel has tcx or clsact".to_owned()));
    in_own_network(|| {
        let watch = Watch::new(&COUNT_TC);
        for method in [TcMethod::Best, TcMethod::Clsact] {
            let target = target(Direction::Ingress, method);
            let error = attach::attach(&watch.program, &target).unwrap_err();
            let words = error.to_string();
            assert!(words.contains("RTM_NEWQDISC"), "{words}");
            // The kernel's words, and what to do.
            assert!(words.contains("qdisc"), "{words}");
            assert!(words.contains("CONFIG_NET_SCH_INGRESS"), "{words}");
        }
        // The other link is looked at by no kernel that has none.
        let lo = Watch::new(&super::socket::COUNT_FRAMES).attach("socket:lo");
        let error = tc::attach(
            &watch.program,
            &target(Direction::Ingress, TcMethod::Best),
            Position::Before(&lo),
        );
        assert!(matches!(error, Err(Error::Target { .. })), "{error:?}");
    });
}

#[test]
fn a_kernel_without_links_says_which_has_them() {
    let _alone = alone();
    needs!(Bpf, Root);
    needs_tried!("no_tcx", no_tcx().is_none().then(|| "this kernel has tcx".to_owned()));
    in_own_network(|| {
        let watch = Watch::new(&COUNT_TC);
        let target = target(Direction::Ingress, TcMethod::Tcx);
        let error = attach::attach(&watch.program, &target).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("6.6"), "{error}");
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    let _alone = alone();
    needs!(Bpf, Root);
    needs_tried!("clsact", no_clsact());
    static KPROBE: ProgramSpec =
        ProgramSpec::new("kprobe", ProgramType::Kprobe, bpf! { r0 = 0; exit; });
    in_own_network(|| {
        let kprobe = Loader::new().load(&KPROBE).unwrap();
        for method in [TcMethod::Tcx, TcMethod::Clsact, TcMethod::Best] {
            if method == TcMethod::Tcx && no_tcx().is_some() {
                continue;
            }
            let target = target(Direction::Egress, method);
            let error = attach::attach(&kprobe, &target).unwrap_err();
            assert!(error.to_string().contains("type is kprobe, expected sched_cls"), "{error}");
            assert_eq!(raw::qdiscs(LO), [""; 0]);
        }
        let watch = Watch::new(&COUNT_TC);
        let error = attach::attach(&watch.program, &"tc:loo/ingress".parse().unwrap());
        let Err(Error::NotFound { nearest, .. }) = error else { panic!("{error:?}") };
        assert_eq!(nearest, ["lo"]);
    });
}
